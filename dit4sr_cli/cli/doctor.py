"""`dit4sr doctor`: what this machine has to offer, for a person or for a bug report."""

from __future__ import annotations

import os
import platform
from typing import Any

from dit4sr_cli import __version__
from dit4sr_cli.cli import options
from dit4sr_cli.cli.console import console

_LIBRARIES = ("torch", "diffusers", "transformers", "pyvips", "pyvips-binary", "pillow", "numpy")
_GIB = 1 << 30


def doctor(
    quiet: options.Quiet = False, verbose: options.Verbose = False, json: options.Json = False
) -> None:
    """Show versions, device, memory and the model."""
    console.open(quiet=quiet, verbose=verbose, as_json=json)
    record = {
        "versions": _versions(),
        "device": _device(),
        "memory": _memory(),
        "folders": _folders(),
        "model": _model(),
    }
    console.result(_as_text(record), {"command": "doctor", **record})


def _versions() -> dict[str, str]:
    import importlib.metadata

    found = {"dit4sr": __version__, "python": platform.python_version()}
    for name in _LIBRARIES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "missing"
    return {**found, "system": platform.platform()}


def _device() -> dict[str, Any]:
    try:
        import torch
    except (ImportError, OSError) as error:  # what a doctor is called for
        return {"kind": "none", "problem": f"torch cannot be imported: {error}"}
    if torch.cuda.is_available():
        free, total = torch.cuda.mem_get_info()
        return {
            "kind": "cuda",
            "name": torch.cuda.get_device_name(),
            "memory_gib": _gib(total),
            "free_gib": _gib(free),
        }
    kind = "mps" if torch.backends.mps.is_available() else "cpu"
    return {"kind": kind, "name": platform.processor() or platform.machine(), "cores": _cores()}


def _memory() -> dict[str, Any]:
    try:
        page = os.sysconf("SC_PAGE_SIZE")
        total, free = (os.sysconf(f"SC_{name}PHYS_PAGES") * page for name in ("", "AV"))
    except (AttributeError, ValueError, OSError):  # Windows has no sysconf, macOS not both names
        return {}
    return {"memory_gib": _gib(total), "free_gib": _gib(free)}


def _folders() -> dict[str, str]:
    from dit4sr_cli.core import paths

    return {"models": str(paths.models_dir()), "config": str(paths.config_dir())}


def _model() -> dict[str, Any]:
    from dit4sr_cli.core.errors import ModelError
    from dit4sr_cli.weights.resolve import installed, resolve

    auto = resolve()
    record = {"auto": auto.name, "folder": str(auto.folder), "base": str(auto.base)}
    try:
        return {**record, "installed": [model.name for model in installed()]}
    except ModelError as error:  # a broken models.toml
        return {**record, "problem": error.message}


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _gib(num_bytes: int) -> float:
    return round(num_bytes / _GIB, 1)


def _as_text(record: dict[str, dict[str, Any]]) -> str:
    lines = []
    for group, entries in record.items():
        for name, value in entries.items():
            shown = ", ".join(value) if isinstance(value, list) else value
            lines.append(f"{group:<9} {name:<14} {shown}")
    return "\n".join(lines)
