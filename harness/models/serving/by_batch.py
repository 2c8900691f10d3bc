"""A checkpoint whose answers come by batch files, which `vllm run-batch` answers on any machine.

    vllm run-batch -i batch/CHECKPOINT-1.jsonl -o results-1.jsonl --model CHECKPOINT --generation-config vllm

No server is checked here: the file names the model by its folder, which vLLM requires to be the one that it
holds, and every reply must count as many tokens in its prompt as this process does.
"""

from pathlib import Path

from harness.config import EndpointSpec, ServeSpec
from harness.core.errors import HarnessError
from harness.models.model_folder import is_adapter
from harness.models.serving.chat_format import Weights


def endpoint_by_batch(weights: Weights, spec: ServeSpec, fingerprint: str) -> EndpointSpec:
    """Return the endpoint whose requests are written into files for an engine.

    Its address is never asked. It holds the `fingerprint` of weights and engine, so that requests to others
    have other ids, and the replies to one are not taken for those of another.

    Raises:
        HarnessError: an engine that reads no such files, or an adapter, which it takes no name of.
    """
    if spec.engine != "vllm":
        raise HarnessError(
            f"--batch: {weights.source} is served by {spec.engine} of a stated version, so by batch files, which "
            "only vllm answers. Leave 'version' out to have the engine started here."
        )
    if is_adapter(Path(weights.source)):
        raise HarnessError(
            f"--batch: {weights.source} is an adapter, and `vllm run-batch` answers for whole models. Merge it "
            "first (`harness merge`)."
        )
    return EndpointSpec(model=weights.folder, base_url=f"http://127.0.0.1/{fingerprint[:16]}/v1")
