"""Small words that every layer shares: sizes, boxes and the choices a user can make."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class ColorFix(str, Enum):
    """How the result's colours are held to the input's."""

    ADAIN = "adain"
    WAVELET = "wavelet"
    NONE = "none"


class StartPoint(str, Enum):
    """Where sampling starts: from pure noise, or from the low-resolution latents plus noise."""

    NOISE = "noise"
    LR = "lr"


class Grid(str, Enum):
    """How tiles are laid out: evenly spread, or as the released implementation does it."""

    EVEN = "even"
    REFERENCE = "reference"


class Solver(str, Enum):
    """How the sampler goes from one noise level to the next."""

    EULER = "euler"
    DPM = "dpm"


class Preset(str, Enum):
    """How much time a picture may take."""

    DRAFT = "draft"
    BALANCED = "balanced"
    BEST = "best"


class Precision(str, Enum):
    """Arithmetic of the transformer; `fast` is 16 bits wherever they are faster than 32."""

    AUTO = "auto"
    FAST = "fast"
    FP32 = "fp32"
    FP16 = "fp16"
    BF16 = "bf16"


class Quantize(str, Enum):
    """How the transformer's large matrices are held and multiplied."""

    NONE = "none"
    INT8 = "int8"
    INT4 = "int4"
    FP8 = "fp8"


class CaptionChoice(str, Enum):
    """Who says what is in a picture, where nobody has written it down."""

    AUTO = "auto"
    NONE = "none"


class DeviceChoice(str, Enum):
    """Where to compute."""

    AUTO = "auto"
    CUDA = "cuda"
    MPS = "mps"
    CPU = "cpu"


@dataclass(frozen=True, slots=True)
class Size:
    """Width and height in pixels (or latent cells)."""

    width: int
    height: int

    @property
    def pixels(self) -> int:
        """Width times height."""
        return self.width * self.height

    def __str__(self) -> str:
        return f"{self.width}x{self.height}"


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle: left and top edge, width and height."""

    x: int
    y: int
    width: int
    height: int
