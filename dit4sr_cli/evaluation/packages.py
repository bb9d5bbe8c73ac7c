"""Figures of piq and stlpips-pytorch, whose wheels hold all they need."""

from __future__ import annotations

import contextlib
import importlib
import importlib.metadata
from typing import Any

from dit4sr_cli.core.errors import UsageError
from dit4sr_cli.core.words import as_reason
from dit4sr_cli.evaluation.loaded import Loaded
from dit4sr_cli.evaluation.pixels import Image

EXTRA = "pip install 'dit4sr[eval]'"


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


def load_module(name: str, metric: str, *, extra: str = EXTRA) -> Any:
    """Import what a metric, or something else that is named, takes.

    Raises:
        UsageError: it is not installed, or does not load.
    """
    try:
        with contextlib.suppress(ModuleNotFoundError):
            _load_torchvision()
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise UsageError(
            f"{metric} needs the package {error.name}, which is not installed", hint=extra
        ) from error
    except (ImportError, OSError, RuntimeError) as error:
        raise UsageError(f"{metric} cannot be loaded: {as_reason(error)}", hint=extra) from error


def _load_torchvision() -> None:
    """Import it even if its compiled part does not fit the installed torch.

    That is so where torch was built for CPUs and torchvision was not. All that is used here is
    written in Python; the two operators that its import asks for need only have a name.
    """
    try:
        importlib.import_module("torchvision")
    except RuntimeError as error:
        if "torchvision::nms" not in str(error):
            raise
        import torch

        library = torch.library.Library("torchvision", "FRAGMENT")
        for name in ("nms", "qnms"):
            library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        _KEPT.append(library)
        importlib.import_module("torchvision")


_KEPT: list[Any] = []
"""A library's operators go when it does."""


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
