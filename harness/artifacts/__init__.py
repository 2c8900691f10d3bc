"""The files of a run's folder: answers, judgements and scores as Parquet, and results.json."""
