"""What this machine has to offer, and what a run on it would be: facts for a person in trouble.

Whatever cannot be found out is itself a finding, in words under `problem`: nothing here raises.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
import platform
import re
from pathlib import Path
from typing import Any

from dit4sr_cli import __version__
from dit4sr_cli.core import paths
from dit4sr_cli.core.errors import ModelError
from dit4sr_cli.core.settings import ModelSettings, UpscaleSettings
from dit4sr_cli.core.types import Size

_LIBRARIES = (
    *("torch", "diffusers", "transformers", "safetensors", "huggingface-hub", "numpy"),
    *("pillow", "pyvips", "pyvips-binary", "typer", "rich"),
)
_VARIABLES = (
    *("DIT4SR_HOME", "DIT4SR_DEBUG", "HF_HOME", "HF_ENDPOINT", "HF_HUB_OFFLINE", "HF_TOKEN"),
    *("CUDA_VISIBLE_DEVICES", "PYTORCH_CUDA_ALLOC_CONF", "OMP_NUM_THREADS", "NO_COLOR", "TERM"),
    *("PYTHONIOENCODING", "LANG", "SOURCE_DATE_EPOCH"),
)
_SECRETS = ("HF_TOKEN",)
_EXAMPLE = Size(1224, 816)
"""A photograph of one megapixel."""
_GIB = 1 << 30

Facts = dict[str, Any]


def examine() -> dict[str, Facts]:
    """All of it, by what it is about."""
    device = _device()
    return {
        "versions": _versions(),
        "device": device,
        "memory": _memory(),
        "folders": _folders(),
        "environment": _environment(),
        "model": _model(),
        "run": _run(device["kind"]),
        "extras": _extras(),
    }


def _versions() -> Facts:
    found = {"dit4sr": __version__, "python": platform.python_version()}
    found |= {name: _version(name) or "missing" for name in _LIBRARIES}
    with contextlib.suppress(ImportError, OSError, AttributeError):
        import pyvips

        found["libvips"] = ".".join(str(pyvips.version(part)) for part in range(3))
    return {**found, "system": platform.platform()}


def _device() -> Facts:
    try:
        import torch
    except (ImportError, OSError) as error:  # what a doctor is called for
        return {"kind": "none", "problem": f"torch cannot be imported: {error}"}
    if torch.cuda.is_available():
        free, total = torch.cuda.mem_get_info()
        name = torch.cuda.get_device_name()
        return {"kind": "cuda", "name": name, "memory_gib": _gib(total), "free_gib": _gib(free)}
    kind = "mps" if torch.backends.mps.is_available() else "cpu"
    name = platform.processor() or platform.machine()
    return {"kind": kind, "name": name, "cores": _cores(), "threads": torch.get_num_threads()}


def _memory() -> Facts:
    facts: Facts = {}
    with contextlib.suppress(AttributeError, ValueError, OSError):  # Windows has no sysconf
        facts["memory_gib"] = _gib(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    with contextlib.suppress(ImportError, OSError):
        import torch

        from dit4sr_cli.pipeline.memory import free_bytes

        if (free := free_bytes(torch.device("cpu"))) is not None:
            facts["free_gib"] = _gib(free)
    return facts


def _folders() -> Facts:
    known = {"models": paths.models_dir(), "cache": paths.cache_dir(), "config": paths.config_dir()}
    return {name: _folder(path) for name, path in known.items()}


def _folder(path: Path) -> Facts:
    """Where it is, what is in it, and whether more can go there."""
    size = 0
    for folder, _, names in os.walk(path):
        for name in names:
            with contextlib.suppress(OSError):
                size += (Path(folder) / name).lstat().st_size
    facts: Facts = {"path": str(path), "bytes": size}
    there = next((place for place in (path, *path.parents) if place.exists()), path)
    if not there.is_dir():
        return {**facts, "problem": f"{there} is a file, not a folder"}
    if not os.access(there, os.W_OK | os.X_OK):
        return {**facts, "problem": f"no permission to write in {there}"}
    return facts


def _environment() -> Facts:
    found = {name: os.environ[name] for name in _VARIABLES if os.environ.get(name)}
    return {name: "(set)" if name in _SECRETS else value for name, value in found.items()}


def _model() -> Facts:
    from dit4sr_cli.weights.resolve import installed, resolve, resolve_captioner

    auto, captioner = resolve(), resolve_captioner()
    facts: Facts = {
        "auto": auto.name,
        "folder": str(auto.folder),
        "base": str(auto.base),
        "captioner": captioner.name if captioner else None,
    }
    try:
        return {**facts, "installed": [model.name for model in installed()]}
    except ModelError as error:  # a broken models.toml
        return {**facts, "problem": error.message}


def _run(device: str) -> Facts:
    """What `dit4sr upscale` of one megapixel would be, without options."""
    from dit4sr_cli.jobs.estimate import expect
    from dit4sr_cli.weights.resolve import resolve

    if device == "none":
        return {"problem": "nothing can be computed without torch"}
    import torch

    from dit4sr_cli.core.types import Precision
    from dit4sr_cli.pipeline.device import pick_dtype

    spec = resolve().spec
    upscale = UpscaleSettings()
    expected = expect(_EXAMPLE, spec, upscale, ModelSettings())
    return {
        "model": spec.name,
        "device": device,
        "dtype": str(pick_dtype(Precision.AUTO, torch.device(device))).removeprefix("torch."),
        "steps": spec.steps,
        "guidance": spec.guidance,
        "tile": spec.tile,
        "overlap": spec.overlap,
        "photo": [_EXAMPLE.width, _EXAMPLE.height],
        "result": list(expected.output_size),
        "tiles": expected.tiles,
        "memory_bytes": expected.memory,
        "seconds": round(expected.seconds, 1),
        "seconds_are": "measured" if expected.is_measured else "a guess",
    }


def _extras() -> Facts:
    """By extra, the packages that are missing, as the installed metadata says."""
    try:
        wanted = importlib.metadata.requires("dit4sr") or []
    except importlib.metadata.PackageNotFoundError:
        return {"problem": "dit4sr runs from its sources: what is optional is not known"}
    missing: dict[str, list[str]] = {}
    for line in wanted:
        if not (extra := re.search(r"extra == ['\"]([\w-]+)['\"]", line)) or extra[1] == "dev":
            continue
        of_extra = missing.setdefault(extra[1], [])
        name = re.match(r"[\w.-]+", line)
        if name and _version(name[0]) is None:
            of_extra.append(name[0])
    return {name: {"installed": not names, "missing": names} for name, names in missing.items()}


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _gib(num_bytes: int) -> float:
    return round(num_bytes / _GIB, 1)
