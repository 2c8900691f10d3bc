"""`make shape`: sizes by package, the longest files and functions. People judge; nothing fails."""

import ast
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

ROOTS = ("harness", "judges", "trainers", "reports")


def functions(path: Path) -> Iterator[tuple[int, str]]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield (node.end_lineno or 0) - node.lineno + 1, f"{path}:{node.lineno} {node.name}"


def main() -> None:
    files = [path for root in ROOTS for path in sorted(Path(root).rglob("*.py"))]
    sizes = sorted(((len(p.read_text().splitlines()), str(p)) for p in files), reverse=True)
    longest = sorted((f for path in files for f in functions(path)), reverse=True)
    print(f"{len(files)} files, {sum(size for size, _ in sizes)} lines, {len(longest)} functions")
    packages = Counter[str]()
    for size, name in sizes:
        parts = Path(name).parts
        packages["/".join(parts[: 2 if parts[0] == "harness" else 1])] += size
    for name, size in sorted(packages.items()):
        print(f"{size:5d}  {name}")
    for size, name in [*sizes[:10], *longest[:10]]:
        print(f"{size:5d}  {name}")


if __name__ == "__main__":
    main()
