"""No file of somebody else gives a wrong result without a word: variants of every kind."""

import pytest
from hypothesis import HealthCheck, given, settings

from tests.other_files import Variant, examples, kinds, result_of


@pytest.mark.parametrize("kind", kinds())
def test_variants_are_right_or_refused_in_a_sentence(kind: str) -> None:
    @settings(max_examples=examples(kind), deadline=None, suppress_health_check=list(HealthCheck))
    @given(kinds()[kind])
    def try_one(variant: Variant) -> None:
        result, why = result_of(variant)
        assert result != "wrong", f"{variant.what}: {why}"

    try_one()
