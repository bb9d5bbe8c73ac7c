"""Networks of other people as baselines: whatever spandrel recognises (ESRGAN, SwinIR, SPAN, ...).

Pictures larger than a tile go through in tiles that see a margin around what they give.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dit4sr_cli.core.digest import sha256_of
from dit4sr_cli.core.errors import InputError, ModelError
from dit4sr_cli.core.extras import load_module
from dit4sr_cli.core.words import as_reason
from dit4sr_cli.evaluation.methods import Enlarge, Method
from dit4sr_cli.evaluation.packages import as_tensor, version_of
from dit4sr_cli.evaluation.pairs import Case
from dit4sr_cli.evaluation.pixels import Image

EXTRA = "pip install 'dit4sr[peers]'"
TILE, MARGIN = 256, 32
"""In pixels of the small picture."""


def baseline(name: str, path: Path, *, tile: int = TILE, margin: int = MARGIN) -> Method:
    """A checkpoint as a method; the file is read when the first picture needs it.

    Args:
        name: of its row.
        path: .pth, .pt, .ckpt or .safetensors; pickles are read by an allow-list.
        tile: side of what is computed at once, without margins.
        margin: what a tile sees around itself.

    Raises:
        ModelError: there is no such file.
        UsageError: spandrel is not installed.
    """
    if not path.is_file():
        raise ModelError(f"{path}: no such file", hint="name a checkpoint: .pth or .safetensors")
    load_module("spandrel", "--baseline", extra=EXTRA)
    key = f"{version_of('spandrel')} {sha256_of(path)} tile {tile} margin {margin}"
    return Method(name, lambda cases: _load(path, cases, tile, margin), lambda case: key)


def load_network(path: Path) -> Any:
    """Spandrel's descriptor of a checkpoint: callable, with `scale` and `size_requirements`.

    Raises:
        ModelError: the file is damaged, or of no architecture that spandrel knows.
    """
    spandrel = load_module("spandrel", "--baseline", extra=EXTRA)
    try:
        network = spandrel.ModelLoader(device="cpu").load_from_file(path)
    except Exception as error:  # damaged, unsafe or unknown: spandrel's kinds vary
        raise ModelError(
            f"{path}: cannot be loaded as a baseline: {as_reason(error)}",
            hint="it has to be a checkpoint of an architecture that spandrel knows",
        ) from error
    if not isinstance(network, spandrel.ImageModelDescriptor) or network.input_channels != 3:
        raise ModelError(f"{path}: it does not make colour pictures of colour pictures")
    return network.eval()


def _load(path: Path, cases: Sequence[Case], tile: int, margin: int) -> Enlarge:
    network = load_network(path)

    def enlarge(case: Case, small: Image, scale: float) -> Image:
        if network.scale != scale:
            raise InputError(
                f"{case.name}: {path.name} enlarges x{network.scale}, and x{scale:g} is asked for"
            )
        return run(network, small, tile=tile, margin=margin)

    return enlarge


def run(network: Any, small: Image, *, tile: int = TILE, margin: int = MARGIN) -> Image:
    """[H, W, 3] uint8 through a network of spandrel, in tiles if it is larger than one."""
    import torch

    height, width = small.shape[:2]
    scale = int(network.scale)
    out = np.empty((height * scale, width * scale, 3), np.uint8)
    for top in range(0, height, tile):
        for left in range(0, width, tile):
            bottom, right = min(top + tile, height), min(left + tile, width)
            y, x = max(0, top - margin), max(0, left - margin)
            with torch.inference_mode():
                seen = small[y : bottom + margin, x : right + margin]
                made = network(as_tensor(np.ascontiguousarray(seen)))[0]
            pixels = (made.clamp(0, 1) * 255).round().byte().permute(1, 2, 0).numpy()
            inner = pixels[
                (top - y) * scale : (bottom - y) * scale, (left - x) * scale : (right - x) * scale
            ]
            out[top * scale : bottom * scale, left * scale : right * scale] = inner
    return out
