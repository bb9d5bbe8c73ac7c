"""Packages that only some commands take: loaded when asked for, or said how to get."""

from __future__ import annotations

import contextlib
import importlib
from typing import Any

from dit4sr_cli.core.errors import UsageError
from dit4sr_cli.core.words import as_reason

EVALUATION = "pip install 'dit4sr[eval]'"


def load_module(name: str, purpose: str, *, extra: str = EVALUATION) -> Any:
    """Import what a purpose, which is named where it fails, takes.

    Raises:
        UsageError: it is not installed, or does not load.
    """
    try:
        with contextlib.suppress(ModuleNotFoundError):
            _load_torchvision()
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise UsageError(
            f"{purpose} needs the package {error.name}, which is not installed", hint=extra
        ) from error
    except (ImportError, OSError, RuntimeError) as error:
        raise UsageError(f"{purpose} cannot be loaded: {as_reason(error)}", hint=extra) from error


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
