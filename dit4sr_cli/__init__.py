"""DiT4SR: enlarge and restore real photographs x4. Importing this imports no torch."""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"

_PUBLIC = {
    "Conditioning": "dit4sr_cli.pipeline.conditioning",
    "Result": "dit4sr_cli.jobs.upscaler",
    "Tiling": "dit4sr_cli.tiles.grid",
    "Transformer": "dit4sr_cli.weights.transformer",
    "Upscaler": "dit4sr_cli.jobs.upscaler",
    "denoise": "dit4sr_cli.pipeline.denoise",
    "drop_focus_sentences": "dit4sr_cli.captions.clean",
    "match_color": "dit4sr_cli.jobs.color",
    "preview": "dit4sr_cli.jobs.preview",
    "upscale": "dit4sr_cli.jobs.upscale",
    "working_size": "dit4sr_cli.core.sizes",
}

__all__ = ["__version__", *sorted(_PUBLIC)]


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_PUBLIC[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
