"""Conversion of public data sets into files that recipes read.

    converted = convert_file("dpo_zh.jsonl", Path("pairs.jsonl"), ConvertOptions(to="preference"))

Every row is kept, or dropped with a reason and its place in the file.

    converter.py        convert_file: from a source to JSON Lines and a summary
    formats.py          the known formats by their columns, and the reader of each
    formats_medquad.py  MedQuAD's folders of XML
    examples.py         chats with their answers, reasons for dropping rows, rows for recipes
    filters.py          excluded ids, labels, lengths, duplicates and seeded subsets
    summary.py          options, and counts of kept and dropped rows
"""

from harness.config.data import ConvertOptions
from harness.data.convert.converter import convert_file
from harness.data.convert.summary import ConversionSummary, make_options

__all__ = [
    "ConversionSummary",
    "ConvertOptions",
    "convert_file",
    "make_options",
]
