"""Figures of piq and stlpips-pytorch, whose wheels hold all they need."""

from __future__ import annotations

import importlib.metadata
from typing import Any

from dit4sr_cli.core.extras import load_module
from dit4sr_cli.evaluation.loaded import Loaded
from dit4sr_cli.evaluation.pixels import Image

CVVDP_DISPLAY = "standard_4k"


def stlpips(net: str, fetch: bool = False) -> Loaded:
    """ST-LPIPS with the weights in its wheel; `net` is alex or vgg."""
    module = load_module("stlpips_pytorch.stlpips", f"stlpips ({net})")
    import torch

    network = module.LPIPS(net=net, variant="shift_tolerant", verbose=False)

    def measure(result: Image, reference: Image) -> float:
        with torch.inference_mode():
            # Written for -1..1; `normalize` takes 0..1 there.
            return float(network(as_tensor(result), as_tensor(reference), normalize=True))

    return Loaded(measure, f"{version_of('stlpips-pytorch')}, {net}")


def piq(function: str, fetch: bool = False) -> Loaded:
    """A function of piq that takes two pictures in 0..1."""
    compute = getattr(load_module("piq", function), function)
    import torch

    def measure(result: Image, reference: Image) -> float:
        with torch.inference_mode():
            return float(compute(as_tensor(result), as_tensor(reference), data_range=1.0))

    return Loaded(measure, version_of("piq"))


def cvvdp(fetch: bool = False) -> Loaded:
    """ColorVideoVDP in JOD, 10 where no difference is seen: on a 4K screen of 30 inches."""
    package = load_module("pycvvdp", "cvvdp")
    import torch

    metric = package.cvvdp(display_name=CVVDP_DISPLAY, device=torch.device("cpu"), quiet=True)

    def measure(result: Image, reference: Image) -> float:
        with torch.inference_mode():
            return float(metric.predict(result, reference, dim_order="HWC")[0])

    return Loaded(measure, f"{version_of('cvvdp')}, {CVVDP_DISPLAY}")


def as_tensor(image: Image) -> Any:
    """[H, W, 3] uint8 to [1, 3, H, W] in 0..1."""
    import torch

    return torch.tensor(image).permute(2, 0, 1)[None].float() / 255


def version_of(package: str) -> str:
    """`piq 0.8.0`."""
    try:
        return f"{package} {importlib.metadata.version(package)}"
    except importlib.metadata.PackageNotFoundError:
        return package
