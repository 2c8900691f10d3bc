"""Records of other evaluation tools, made into a study that `harness run` re-analyses.

records.py        what every format is read into
lm_eval.py        samples_*.jsonl of lm-evaluation-harness
alpaca_eval.py    model_outputs.json and annotations.json of AlpacaEval
inspect_logs.py   logs of Inspect, .json or .eval
study.py          the items that all models share, as files with a suite and a profile
"""

from harness.interop.importing.study import Imported, describe_import, import_records

__all__ = ["Imported", "describe_import", "import_records"]
