"""Import of records of other evaluation tools, as a suite and profile that `harness run` re-analyses.

records.py          the records that every format is read into
lm_eval.py          samples_*.jsonl of lm-evaluation-harness
lm_eval_choices.py  which of the ranked choices lm-eval took
alpaca_eval.py      model_outputs.json and annotations.json of AlpacaEval
inspect_logs.py     logs of Inspect, .json or .eval
benchmarks.py       questions, answers and judgements of MT-Bench and Arena-Hard
judge_prompts.py    the questions and answers that their judges' prompts quote
simple_evals.py     *_allresults.json of simple-evals
promptfoo.py        results of promptfoo
formats.py          which format a file has
merge.py            records of several files as one
study.py            what all models share, and how it is named
study_files.py      the files of the study
"""

from harness.interop.importing.study import ImportedStudy, describe_import, import_records

__all__ = ["ImportedStudy", "describe_import", "import_records"]
