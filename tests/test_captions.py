"""Captions of simulated views: equal for equal seeds, in words that the vocabulary contains."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from open_clip.tokenizer import SimpleTokenizer

from pipeline.demo_clip.captions import (
    HELD_OUT,
    TEMPLATES,
    WORDS,
    caption,
    corpus,
    words_of,
)
from pipeline.demo_clip.merges import learn_merges, write_merges

CONTEXT = 32  # tokens, of the demo's model
NAMES = [("wheelchair", 5), ("chest of drawers", 3), ("lamp", 35), ("night stand", 32)]


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> SimpleTokenizer:
    path = tmp_path_factory.mktemp("merges") / "merges.txt.gz"
    write_merges(path, learn_merges(corpus(NAMES)))
    return SimpleTokenizer(str(path), context_length=CONTEXT)


def captions(seed: int, count: int = 200) -> list[str]:
    rng = np.random.default_rng(seed)
    known = [*WORDS.values(), *(words_of(*name) for name in NAMES)]
    things = [[known[i] for i in rng.permutation(len(known))[:3]] for _ in range(count)]
    return [caption(thing, rng) for thing in things]


@settings(max_examples=20)
@given(st.integers(0, 2**32))
def test_equal_seeds_give_equal_captions_and_others_give_others(seed: int) -> None:
    assert captions(seed, 20) == captions(seed, 20)
    assert captions(seed, 20) != captions(seed + 1, 20)


def test_a_thing_is_described_by_its_own_name_and_those_of_its_class() -> None:
    words = words_of("wheelchair", 5)
    assert words.nouns[0] == "wheelchair"
    assert {"chair", "seat"} <= set(words.nouns)
    assert words_of("night stand", 32).nouns == ("night stand",)


def test_every_word_of_every_caption_is_one_token(tokenizer: SimpleTokenizer) -> None:
    for text in captions(0):
        assert len(tokenizer.encode(text)) == len(text.split()), text


def test_a_word_outside_the_captions_still_becomes_tokens(tokenizer: SimpleTokenizer) -> None:
    assert len(tokenizer.encode("xylophone")) > 1
    assert tokenizer.decode(tokenizer.encode("xylophone")).strip() == "xylophone"


def test_the_longest_caption_fits_the_context_of_the_model() -> None:
    known = [*WORDS.values(), *(words_of(*name) for name in NAMES)]
    nouns = max(1 + len(noun.split()) for words in known for noun in words.nouns)
    uses = max(len(use.split()) for words in known for use in words.uses)
    template = max(len(text.split()) - 1 for text in TEMPLATES)
    assert 3 * max(nouns, uses) + 2 * 2 + template + 2 <= CONTEXT


def test_merges_and_their_file_depend_on_the_texts_only(tmp_path: Path) -> None:
    for name in ("one", "two"):
        write_merges(tmp_path / name, learn_merges(corpus(NAMES)))
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_the_vocabulary_is_the_bytes_the_merges_and_two_special_tokens(
    tokenizer: SimpleTokenizer,
) -> None:
    assert tokenizer.vocab_size == 512 + len(learn_merges(corpus(NAMES))) + 2


@pytest.mark.parametrize("asked", [text for texts in HELD_OUT.values() for text in texts])
def test_held_out_phrases_are_in_no_caption_though_all_their_words_are(asked: str) -> None:
    texts = corpus(NAMES)
    assert not any(asked in text for text in texts)
    assert not any(asked in text for text in captions(1, 2000))
    assert set(asked.split()) <= {word for text in texts for word in text.split()}
