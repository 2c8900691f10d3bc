"""Merging an adapter, trained here or elsewhere, into its base: a checkpoint of the harness.

The base is loaded in full precision, or in 4 bits and brought to full precision at the same values.
Rounding the merged weights to 4 bits would give another model than the one that was trained.
"""

import shutil
from pathlib import Path
from typing import Any

from harness.core.errors import HarnessError, first_line
from harness.core.hashing import content_hash, file_hash
from harness.core.hub import check_model_available
from harness.models.adapter_types import NOT_MERGED, adapter_type, describe_adapter
from harness.models.gguf import describe_origin, locate_model
from harness.models.local import encode_chat, make_prompt
from harness.models.model_folder import (
    ADAPTER_CONFIG,
    ADAPTER_WEIGHTS,
    MANIFEST,
    is_adapter,
    read_adapter_config,
    verified_fingerprint,
)
from harness.models.weights import quiet_torch
from trainers.checkpoint import (
    CheckpointManifest,
    Origin,
    Training,
    checkpoint_folder,
    finalise,
    load_manifest,
    versions,
)
from trainers.finishing import merge_saved
from trainers.four_bits import check_quantisation
from trainers.peft_config import Head
from trainers.trl_config import quiet_libraries

HEADS: dict[str, Head] = {"CAUSAL_LM": "language_model", "SEQ_CLS": "reward"}

# Prompts on which adapter and merged model are compared, as there are no training rows.
PROBES = (
    "My son coughs every night. Could this be asthma?",
    "Which side effects of ibuprofen should I know about, and when should I see a doctor?",
    "Summarise in one sentence: the patient has had a headache and a stiff neck for two days.",
    "List three things that help against lower back pain.",
)


def merge_adapter(
    adapter: Path,
    base: str,
    out: Path,
    *,
    revision: str | None = None,
    allow_other_base: bool = False,
) -> CheckpointManifest:
    """Merge an adapter into `base`, a folder, a GGUF file or a hub model, as a checkpoint in `out`.

    The checkpoint keeps the record of the adapter's training if the harness trained it.

    Raises:
        HarnessError: no adapter in safetensors that merges, a base quantised beyond merging, one that the adapter was not
            trained on unless that is allowed, or a merged model that differs from its adapter.
    """
    out, base = out.resolve(), locate_model(base, Path())
    # Check that adapter and base belong together.
    config = read_adapter_config(adapter)
    if not adapter_type(config, adapter).merges:
        raise HarnessError(f"{adapter}: {adapter_type(config, adapter).title}: {NOT_MERGED}.")
    head = _head_of(adapter, config)
    quiet_torch()
    quiet_libraries()
    _check_model(base, revision)
    fingerprint = verified_fingerprint(base, revision=revision)
    recorded = _recorded_training(adapter, fingerprint)
    if recorded is None and not allow_other_base:
        _check_base(adapter, config, base, fingerprint)
    tokenizer = _tokenizer(adapter, base, revision)
    # Merge them, and compare the result with the adapter.
    with checkpoint_folder(out) as folder:
        (folder / "adapter").mkdir()
        for name in (ADAPTER_CONFIG, ADAPTER_WEIGHTS):
            shutil.copyfile(adapter / name, folder / "adapter" / name)
        metrics = merge_saved(
            folder,
            tokenizer,
            base=base,
            revision=revision,
            probes=[_encode(tokenizer, text) for text in PROBES],
            head=head,
        )
        # Write the manifest.
        origin = Origin(source=_absolute(base), revision=revision, fingerprint=fingerprint)
        training = recorded or _external_training(adapter, config, origin, out)
        training = training.model_copy(
            update={"adapter_base": origin, "metrics": training.metrics | metrics}
        )
        return finalise(folder, training)


# --- the adapter -----------------------------------------------------------------------------


def _head_of(adapter: Path, config: dict[str, Any]) -> Head:
    task = config.get("task_type") or "CAUSAL_LM"
    if task not in HEADS:
        raise HarnessError(f"{adapter}: is for {task}; known: {', '.join(HEADS)}.")
    return HEADS[task]


def _recorded_training(adapter: Path, base: str) -> Training | None:
    """Return the training record of an adapter in a checkpoint of ours, if `base` is its own base."""
    if not (adapter.parent / MANIFEST).is_file():
        return None
    manifest = load_manifest(adapter.parent)
    listed = manifest.files.get(f"{adapter.name}/{ADAPTER_WEIGHTS}") == file_hash(
        adapter / ADAPTER_WEIGHTS
    )
    if not listed or manifest.adapter_base is None or manifest.adapter_base.fingerprint != base:
        return None
    return Training(**{name: getattr(manifest, name) for name in Training.model_fields})


def _external_training(
    adapter: Path, config: dict[str, Any], origin: Origin, out: Path
) -> Training:
    sha256 = file_hash(adapter / ADAPTER_WEIGHTS)
    return Training(
        recipe=out.name,
        method="merge",
        seed=0,
        key=content_hash(sha256, origin.fingerprint, versions()),
        parent=origin,
        data_hash=content_hash(),
        facts=describe_origin(origin.source)
        | {
            "training": "unknown: the adapter was trained elsewhere",
            "adapter": describe_adapter(config),
            "adapter sha256": sha256,
        },
        metrics={},
        curves=(),
    )


# --- the base --------------------------------------------------------------------------------


def _check_model(base: str, revision: str | None) -> None:
    """Check that the base is a model here or at a revision, and not quantised beyond merging."""
    from transformers import AutoConfig

    if is_adapter(Path(base)):
        raise HarnessError(f"{base}: is an adapter, not a model; name the model under it.")
    if not Path(base).is_dir() and revision is None:
        raise HarnessError(
            f"{base}: is no directory here. If it is a hub model, give its --revision, so that it "
            "cannot change unseen."
        )
    check_model_available(base, revision)
    try:
        config = AutoConfig.from_pretrained(base, revision=revision, trust_remote_code=False)
    except (OSError, ValueError) as error:
        raise HarnessError(f"{base}: has no readable config.json: {first_line(error)}") from None
    check_quantisation(config, base)


def _check_base(adapter: Path, config: dict[str, Any], base: str, fingerprint: str) -> None:
    """Check `base` against the folder or hub model that the adapter names as its base.

    Raises:
        HarnessError: they differ.
    """
    trained_on = config.get("base_model_name_or_path") or "nothing"
    if (adapter.parent / MANIFEST).is_file():
        recorded = load_manifest(adapter.parent).adapter_base
        if recorded is not None and recorded.fingerprint != fingerprint:
            trained_on = f"{recorded.source} ({recorded.fingerprint[:12]})"
    if _absolute(trained_on) != _absolute(base):
        raise HarnessError(
            f"{adapter}: was trained on {trained_on}, not on {base}. On another model its weights mean "
            "nothing. If the two are the same, pass --allow-other-base."
        )


def _tokenizer(adapter: Path, base: str, revision: str | None) -> Any:
    """Load the adapter's own tokenizer, with its chat template, or else the base's."""
    from transformers import AutoTokenizer

    for folder in (adapter, adapter.parent):
        if (folder / "tokenizer_config.json").is_file():
            return AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
    return AutoTokenizer.from_pretrained(base, revision=revision, trust_remote_code=False)


def _encode(tokenizer: Any, text: str) -> list[int]:
    if tokenizer.chat_template:
        return encode_chat(tokenizer, make_prompt(None, text))
    ids: list[int] = tokenizer(text)["input_ids"]
    return ids


def _absolute(base: str) -> str:
    return str(Path(base).resolve()) if Path(base).is_dir() else base
