import pytest
from helpers import parity

from dit4sr_cli import drop_focus_sentences


@pytest.mark.parametrize("case", parity.table("caption_filter"), ids=lambda c: c["text"][:20])
def test_focus_sentences_are_dropped(case):
    assert drop_focus_sentences(case["text"]) == case["filtered"]
