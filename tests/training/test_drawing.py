"""What drawing makes of tiles that are restored well."""

import pytest
import torch
from helpers.tiny_recipe import DRAWING

from dit4sr_cli.training.config import parse_config
from dit4sr_cli.training.drawing import Drawing
from dit4sr_cli.training.networks import Networks
from dit4sr_cli.training.share import Share


@pytest.mark.parametrize(("off", "more"), [(0, 4.0), (1, 3.57), (3, 2.06), (80, 0.79)])
def test_errors_count_relative_to_the_tile(off, more):
    """By the root of the error over 12.75 levels, four times at most."""
    torch.manual_seed(0)
    networks = Networks(parse_config(DRAWING))
    for last in (networks.transformer.proj_out, networks.codec.refine_out):
        torch.nn.init.zeros_(last.weight)  # what comes out is what goes in
        torch.nn.init.zeros_(last.bias)
    original = torch.full((1, 1, 3, 64, 64), 100.0)
    batch = {"original": original, "enlarged": original + off}

    def pixel(relative: bool) -> float:
        draw = {"relative": relative}
        drawing = Drawing(networks, parse_config({**DRAWING, "draw": draw}))
        with torch.no_grad():
            return float(drawing(batch, Share(1, 1, 0), 0)["pixel"])

    assert pixel(True) / pixel(False) == pytest.approx(more, rel=0.1)
