"""Figures that say how near a result is to its reference; pictures are [H, W, 3] uint8 sRGB.

PSNR and SSIM are BasicSR's: on the luma of BT.601, four border pixels left out.
The perceptual ones see the whole picture and need packages that are not installed by default.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from dit4sr_cli.core.errors import UsageError

BORDER = 4
EXTRA = "pip install 'dit4sr[eval]'"

Image: TypeAlias = NDArray[np.uint8]
Plane: TypeAlias = NDArray[np.float64]
Measure: TypeAlias = Callable[[Image, Image], float]
"""(result, reference) -> figure."""

_LUMA = np.array([65.481, 128.553, 24.966]) / 255
_SSIM_WINDOW, _SSIM_SIGMA = 11, 1.5
_C1, _C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2


@dataclass(frozen=True, slots=True)
class Metric:
    """A figure: its name on the command line, its heading, and which way is better.

    Args:
        direction: 1 if higher is better, -1 if lower is, 0 if it only describes.
        load: makes the measure; imports what that takes.
    """

    name: str
    title: str
    direction: int
    load: Callable[[], Measure]

    def is_better(self, value: float, other: float) -> bool:
        """Whether one figure beats another."""
        return self.direction * (value - other) > 0


# ---------------------------------------------------------------- numpy alone


def luma(image: Image) -> Plane:
    """Y of BT.601 in 16..235, not rounded."""
    return image.astype(np.float64) @ _LUMA + 16


def psnr(result: Image, reference: Image) -> float:
    """Peak signal-to-noise ratio of the luma in dB; infinite for identical pictures."""
    error = float(np.mean((_inner(result) - _inner(reference)) ** 2))
    return math.inf if error == 0 else 10 * math.log10(255**2 / error)


def ssim(result: Image, reference: Image) -> float:
    """Structural similarity of the luma, 1 for identical pictures."""
    x, y = _inner(result), _inner(reference)
    mean_x, mean_y = _smooth(x), _smooth(y)
    var_x = _smooth(x * x) - mean_x**2
    var_y = _smooth(y * y) - mean_y**2
    covariance = _smooth(x * y) - mean_x * mean_y
    likeness = (2 * mean_x * mean_y + _C1) * (2 * covariance + _C2)
    return float(np.mean(likeness / ((mean_x**2 + mean_y**2 + _C1) * (var_x + var_y + _C2))))


def sharpness(result: Image, reference: Image) -> float:
    """Laplacian energy as a share of the reference's: below 1 softer, above 1 sharper or noisy."""
    wanted = _laplacian_energy(reference)
    found = _laplacian_energy(result)
    if wanted == 0:
        return 1.0 if found == 0 else math.inf
    return found / wanted


def _inner(image: Image) -> Plane:
    """The luma without the border, where an enlargement has to guess what lies outside."""
    if min(image.shape[:2]) < _SSIM_WINDOW + 2 * BORDER:
        return luma(image)
    return luma(image)[BORDER:-BORDER, BORDER:-BORDER]


def _smooth(plane: Plane) -> Plane:
    """Gaussian mean over windows that lie inside; a smaller plane gets a smaller window."""
    for axis in (0, 1):
        side = min(_SSIM_WINDOW, plane.shape[axis])
        offsets = np.arange(side) - (side - 1) / 2
        weights = np.exp(-(offsets**2) / (2 * _SSIM_SIGMA**2))
        windows = np.lib.stride_tricks.sliding_window_view(plane, side, axis=axis)
        plane = windows @ (weights / weights.sum())
    return plane


def _laplacian_energy(image: Image) -> float:
    y = np.pad(luma(image), 1, mode="edge")
    sides = y[:-2, 1:-1] + y[2:, 1:-1] + y[1:-1, :-2] + y[1:-1, 2:]
    return float(np.mean((4 * y[1:-1, 1:-1] - sides) ** 2))


# ---------------------------------------------------------------- of other packages


def _stlpips(net: str) -> Measure:
    module = _import("stlpips_pytorch.stlpips", f"stlpips ({net})")
    import torch

    network = module.LPIPS(net=net, variant="shift_tolerant", verbose=False)

    def measure(result: Image, reference: Image) -> float:
        with torch.inference_mode():
            # Written for -1..1; `normalize` takes 0..1 there.
            return float(network(_tensor(result), _tensor(reference), normalize=True))

    return measure


def _piq(function: str) -> Measure:
    compute = getattr(_import("piq", function), function)
    import torch

    def measure(result: Image, reference: Image) -> float:
        with torch.inference_mode():
            return float(compute(_tensor(result), _tensor(reference), data_range=1.0))

    return measure


def _import(module: str, metric: str) -> Any:
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise UsageError(
            f"metric {metric} needs the package {error.name}, which is not installed", hint=EXTRA
        ) from error
    except (ImportError, OSError, RuntimeError) as error:  # a torchvision that does not fit torch
        raise UsageError(
            f"metric {metric} cannot be loaded: {error}",
            hint="install a torchvision that fits the installed torch",
        ) from error


def _tensor(image: Image) -> Any:
    import torch

    return torch.tensor(image).permute(2, 0, 1)[None].float() / 255


# ---------------------------------------------------------------- by name

_TABLE = (
    Metric("psnr", "PSNR-Y", 1, lambda: psnr),
    Metric("ssim", "SSIM-Y", 1, lambda: ssim),
    Metric("sharpness", "sharpness", 0, lambda: sharpness),
    Metric("stlpips", "ST-LPIPS", -1, partial(_stlpips, "alex")),
    Metric("stlpips-vgg", "ST-LPIPS VGG", -1, partial(_stlpips, "vgg")),
    Metric("dss", "DSS", 1, partial(_piq, "dss")),
    Metric("haarpsi", "HaarPSI", 1, partial(_piq, "haarpsi")),
    Metric("gmsd", "GMSD", -1, partial(_piq, "gmsd")),
)
METRICS = {metric.name: metric for metric in _TABLE}
BASIC = ("psnr", "ssim", "sharpness")


def choose(names: Iterable[str]) -> list[Metric]:
    """Metrics by name, each once; `all` is every one."""
    names = list(dict.fromkeys(names))
    if "all" in names:
        return list(_TABLE)
    hint = f"there are {', '.join(METRICS)} and all"
    if not names:
        raise UsageError("no metric is named", hint=hint)
    for name in names:
        if name not in METRICS:
            raise UsageError(f"{name!r} is no metric", hint=hint)
    return [METRICS[name] for name in names]
