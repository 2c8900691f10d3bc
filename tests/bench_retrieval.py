"""Time and memory of BM25 on 100,000 passages, as docs/retrieval.md states them.

    python -m tests.bench_retrieval [PASSAGES]

The passages are made of words that occur as often as in English (Zipf), about 150 each; the 1,000 questions are pieces
of passages. Indexing is measured in a process of its own, with its peak memory; questions are asked of the index as it is
read from the cache.
"""

import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from harness.config.retrieval import RetrievalSpec
from harness.core.hashing import content_hash
from harness.retrieval.corpus import Corpus, Document
from harness.retrieval.retriever import Retriever, open_retriever

N_PASSAGES, N_QUESTIONS, N_WORDS, VOCABULARY = 100_000, 1_000, 150, 80_000
SPEC = RetrievalSpec(corpus="made", k=10, words=200, overlap=40)


def make_corpus(n: int) -> Corpus:
    """Return documents of one passage each."""
    rng = random.Random(1)
    words = [f"w{i:05d}" for i in range(VOCABULARY)]
    weights = [1 / (rank + 3) for rank in range(VOCABULARY)]
    drawn = rng.choices(words, weights, k=n * N_WORDS)
    documents = [
        Document(f"d{i}", " ".join(drawn[i * N_WORDS : (i + 1) * N_WORDS])) for i in range(n)
    ]
    return Corpus("made", documents, content_hash(documents[:100], n))


def open_made(n: int) -> tuple[Retriever, Corpus]:
    """Return the retriever of a made corpus."""
    corpus = make_corpus(n)
    return open_retriever(SPEC, corpus, Path()), corpus


def index(n: int) -> None:
    """Index, and print the seconds, those of a core, and the peak memory in MB, now and before."""
    retriever, _ = open_made(n)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began, worked = time.monotonic(), time.process_time()
    list(retriever.find(["w00001"]))
    cpu = time.process_time() - worked
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(f"{time.monotonic() - began:.1f} {cpu:.1f} {peak / 1024:.0f} {before / 1024:.0f}")


def main() -> None:
    """Print the figures."""
    n = int(sys.argv[1]) if len(sys.argv) > 1 else N_PASSAGES
    with tempfile.TemporaryDirectory() as cache:
        environment = {**os.environ, "HARNESS_CACHE_DIR": cache}
        command = [sys.executable, "-c", f"from tests.bench_retrieval import index; index({n})"]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        seconds, cpu, peak, before = done.stdout.split()
        print(
            f"{n:,} passages indexed: {seconds} s, {cpu} s of a core; at most {peak} MB in all, "
            f"{before} MB of them before"
        )
        os.environ["HARNESS_CACHE_DIR"] = cache
        retriever, corpus = open_made(n)
        rng = random.Random(2)
        texts = (corpus.documents[rng.randrange(n)].text.split() for _ in range(N_QUESTIONS))
        questions = [" ".join(words[:12]) for words in texts]
        for name, asked in {
            "the first, with the index read": questions[:1],
            f"{N_QUESTIONS:,} questions": questions,
        }.items():
            began, worked = time.monotonic(), time.process_time()
            list(retriever.find(asked))
            cpu_s = time.process_time() - worked
            print(f"{name}: {time.monotonic() - began:.2f} s, {cpu_s:.2f} s of a core")


if __name__ == "__main__":
    main()
