"""No file of somebody else gives a wrong result without a word: variants of every kind."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.other_files import kinds, result_of


@pytest.mark.parametrize("kind", kinds())
@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_variants_are_right_or_refused_in_a_sentence(kind: str, data: st.DataObject) -> None:
    variant = data.draw(kinds()[kind])
    result, why = result_of(variant)
    assert result != "wrong", f"{variant.what}: {why}"
