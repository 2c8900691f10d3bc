"""Passages of a corpus for a model's questions.

corpus.py     documents of a source, their hash, and the passages that they are cut into
retriever.py  one retrieval of a profile: its card, and its index, built once and kept by content
bm25.py       the index by shared words
dense.py      the index by vectors
rerank.py     the best of what was found, by a model that reads question and passage together
server.py     requests to servers of vectors and scores, and whether their model changed
folders.py    sentence-transformers models on this machine
prompt.py     passages in marked blocks before the question

card = describe_retrieval(spec, read_corpus(spec, profile, root))
"""
