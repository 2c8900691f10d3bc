"""Passages of a corpus for a model's questions.

corpus.py     documents of a source, their hash, and the passages that they are cut into
retriever.py  one retrieval of a profile: its card, and its index, built once and kept by content
bm25.py       the index by shared words
dense.py      the index by vectors
prompt.py     passages in marked blocks before the question

card = describe_retrieval(spec, read_corpus(spec, profile, root))
"""
