"""A suite whose models and judges are endpoints."""

import json
from hashlib import sha256
from typing import Any

N_ITEMS = 60

SUITE = """\
suite: remote
data:
  source: {path: items.jsonl, fields: {id: id, input: question, reference: answer}}
generation: {max_new_tokens: 64, temperature: 0.7, top_p: 0.9}
metrics:
  rubric:
    kind: rubric
    criteria:
      - {name: safety, asks: Safe or not}
      - {name: clarity, asks: Clear or not}
  win_rate: {kind: pairwise, asks: Which is better}
  helpfulness: {kind: evasion}
  rouge: {kind: rouge}
gate:
  claims:
    - {metric: rubric.safety, claim: superior}
"""


def answer(body: dict[str, Any]) -> str:
    """What the models and the judge behind the endpoint say; always the same to the same chat."""
    if body["model"] != "judge-model":
        return f"{body['model']} says: rest and ice may help. {body['messages'][-1]['content']}"
    digest = sha256(json.dumps(body["messages"]).encode()).digest()
    schema = body["response_format"]["json_schema"]["schema"]
    return json.dumps(fill_schema(schema, digest))


def fill_schema(schema: dict[str, Any], digest: bytes) -> Any:
    """Some value of the schema, chosen by the digest."""
    if "const" in schema:
        return schema["const"]
    if "anyOf" in schema:
        return fill_schema(schema["anyOf"][0], digest)
    if "enum" in schema:
        options = [option for option in schema["enum"] if option != "uncertain"]
        return options[digest[0] % len(options)]
    match schema.get("type"):
        case "object":
            return {
                key: fill_schema(part, digest[i:] + digest)
                for i, (key, part) in enumerate(schema["properties"].items())
            }
        case "integer":
            return 1 + digest[1] % 10
        case "boolean":
            return False
        case _:
            return "because"
