"""What a training took: the peak of memory, and the tokens that went through the model."""

from pathlib import Path

from trainers.trl_config import Log

_PROCESS = Path("/proc/self")


def reset_peak_memory() -> None:
    """Begin to measure the peak anew, of the GPU or of this process; without Linux nothing is done."""
    import torch

    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
        return
    try:
        (_PROCESS / "clear_refs").write_text("5", encoding="ascii")
    except OSError:  # no Linux, or forbidden in this container
        return


def describe_usage(log: Log) -> dict[str, str]:
    """Return the peak of memory since `reset_peak_memory`, and the tokens, as facts; what is unknown is absent."""
    facts = {}
    peak, where = _peak_bytes()
    if peak is not None:
        facts["peak memory"] = f"{peak / 2**20:,.0f} MiB of {where}"
    tokens = count_tokens(log)
    if tokens:
        facts["tokens"] = f"{tokens:,}"
    return facts


def count_tokens(log: Log) -> int:
    """Count the tokens that a log tells of, also where a resumed run counted from 0 again."""
    total = before = 0
    for entry in log:
        seen = int(entry.get("num_tokens", before))
        total += seen - before if seen >= before else seen
        before = seen
    return total


def _peak_bytes() -> tuple[int | None, str]:
    import torch

    if torch.cuda.is_available():
        return int(torch.cuda.max_memory_allocated()), "the GPU"
    try:
        lines = (_PROCESS / "status").read_text(encoding="ascii").splitlines()
    except OSError:
        return None, ""
    peaks = [int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:")]
    return (peaks[0] if peaks else None), "the process"
