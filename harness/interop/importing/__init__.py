"""Import of records of other evaluation tools, as a suite and profile that `harness run` re-analyses.

records.py        the records that every format is read into
lm_eval.py        samples_*.jsonl of lm-evaluation-harness
alpaca_eval.py    model_outputs.json and annotations.json of AlpacaEval
inspect_logs.py   logs of Inspect, .json or .eval
study.py          the items that all models answered, as files with a suite and a profile
"""

from harness.interop.importing.study import ImportedStudy, describe_import, import_records

__all__ = ["ImportedStudy", "describe_import", "import_records"]
