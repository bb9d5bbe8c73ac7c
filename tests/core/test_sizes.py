import pytest
from helpers import parity

from dit4sr_cli import working_size


@pytest.mark.parametrize("case", parity.table("working_size"), ids=lambda c: str(c["input"]))
def test_working_size_is_the_released_one(case):
    assert list(working_size(case["input"], scale=case["scale"])) == case["working"]
