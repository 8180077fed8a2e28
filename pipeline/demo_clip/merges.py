"""A small vocabulary of byte pairs, learned from captions, in the file format of open_clip."""

import gzip
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path


def learn_merges(texts: Sequence[str]) -> list[tuple[str, str]]:
    """Byte pair merges, most frequent pair first, until every word of `texts` is one token.

    Sennrich et al., "Neural machine translation of rare words with subword units" (ACL 2016), with
    the end-of-word mark of CLIP's tokenizer. Ties are broken by the pair itself, so equal texts
    give equal merges. Words must be plain ASCII letters.
    """
    counts = Counter(word for text in texts for word in text.lower().split())
    words = {word: [*word[:-1], word[-1] + "</w>"] for word in sorted(counts) if word.isalpha()}
    merges: list[tuple[str, str]] = []
    while True:
        pairs: Counter[tuple[str, str]] = Counter()
        for word, parts in words.items():
            for pair in pairwise(parts):
                pairs[pair] += counts[word]
        if not pairs:
            return merges
        best = min(pairs, key=lambda pair: (-pairs[pair], pair))
        merges.append(best)
        for word, parts in words.items():
            words[word] = _merge(parts, best)


def _merge(parts: list[str], pair: tuple[str, str]) -> list[str]:
    """`parts` with every occurrence of the adjacent `pair` joined, from left to right."""
    joined: list[str] = []
    for part in parts:
        if joined and (joined[-1], part) == pair:
            joined[-1] += part
        else:
            joined.append(part)
    return joined


def write_merges(path: Path, merges: Sequence[tuple[str, str]]) -> None:
    """Write the merges in the format of open_clip's `SimpleTokenizer` (its `bpe_path`).

    The first line is a header, which it skips. There is no line break at the end: it would read an
    additional empty merge.
    """
    text = "\n".join(["#version: 0.2", *(" ".join(pair) for pair in merges)])
    path.write_bytes(gzip.compress(text.encode(), mtime=0))
