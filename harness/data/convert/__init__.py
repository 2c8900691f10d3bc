"""Public data sets made into files that recipes read.

    converted = convert_file("dpo_zh.jsonl", Path("pairs.jsonl"), Options(to="preference"))

Every row that is read is kept, or dropped with a reason and its place in the file.

    files.py      convert_file: a source in, JSON Lines and a summary out
    formats.py    the formats by their columns, and how a row of each is read
    cells.py      texts and chats in one row
    medquad.py    MedQuAD's folders of XML
    drafts.py     what a row says on its way, or why it is left out
    filters.py    duplicates, lengths and seeded subsets
    records.py    drafts as recipes read them
    summary.py    what became of every row
"""

from harness.config.data import ConvertOptions as Options
from harness.data.convert.converter import convert_file, describe_conversion
from harness.data.convert.summary import Summary, make_options

__all__ = ["Options", "Summary", "convert_file", "describe_conversion", "make_options"]
