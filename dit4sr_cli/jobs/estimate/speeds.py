"""How long it takes: the seconds of earlier runs on this machine, before the first one a guess.

They are kept by model, device, arithmetic and threads, divided by the latent cells that went
through the transformer.
"""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

from dit4sr_cli.core.parts import part_of
from dit4sr_cli.core.paths import cache_dir
from dit4sr_cli.core.settings import ModelSettings
from dit4sr_cli.core.sizes import MULTIPLE
from dit4sr_cli.core.types import DeviceChoice, Precision, Quantize
from dit4sr_cli.tiles.grid import Tiling, cover

if TYPE_CHECKING:
    from dit4sr_cli.jobs.record import Record
    from dit4sr_cli.weights.spec import ModelSpec

GUESSED_SECONDS = {("nano", "cpu"): 3e-4, ("nano", "cuda"): 2e-6}
"""For a cell through the transformer once, before anything was measured."""
GUESSED_PUBLISHED_SECONDS = {"cpu": 1.5e-2, "mps": 1e-3, "cuda": 8e-5}
_SPEEDS = "speeds.json"
_KEEP = 0.7  # of what earlier runs weigh, at each new one


def learn(record: Record, *, seconds: float | None = None, threads: int | None = None) -> None:
    """Remember how fast a picture was made; what cannot be written down is left.

    Args:
        record: of the finished picture.
        seconds: wall time that it took, if others overlapped with it; None: the record's.
        threads: of torch on the CPU; None: as the environment says.
    """
    width, height = record.output_size
    tiling = Tiling(record.tile, record.overlap)
    boxes = cover(max(1, width // MULTIPLE), max(1, height // MULTIPLE), tiling)
    a_tile = sum(box.width * box.height for box in boxes) / len(boxes)
    passes = record.steps * (2 if record.guidance > 1 else 1)
    cells = a_tile * record.tiles * passes
    taken = record.seconds if seconds is None else seconds
    if cells <= 0 or taken <= 0:
        return
    arithmetic = record.dtype
    if record.quantize != Quantize.NONE.value:
        arithmetic += f"+{record.quantize}"
    key = "|".join((record.model, record.device, arithmetic, str(threads or _threads())))
    known = _speeds()
    before = known.pop(key, {"cells": 0.0, "seconds": 0.0})
    known[key] = {  # last in the file: the latest
        "cells": _KEEP * before["cells"] + cells,
        "seconds": _KEEP * before["seconds"] + taken,
    }
    path = cache_dir() / _SPEEDS
    temporary = part_of(path)
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            temporary.write_text(json.dumps(known, indent=1), encoding="utf-8")
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)


def speed_of(spec: ModelSpec, model: ModelSettings) -> tuple[float, bool]:
    """Seconds for a cell, and whether they were measured here; the latest that fits is taken."""
    wanted = {Precision.FP32: "float32", Precision.FP16: "float16", Precision.BF16: "bfloat16"}
    dtype = wanted.get(model.precision)
    fitting = []
    for key, value in _speeds().items():
        name, device, arithmetic, threads = key.split("|")
        kind, _, quantize = arithmetic.partition("+")
        is_same = name == spec.name and dtype in (None, kind)
        is_same = is_same and (quantize or Quantize.NONE.value) == model.quantize.value
        if is_same and model.device.value in ("auto", device.split(":")[0]):
            is_on_cpu = device == "cpu" and threads != str(_threads())
            fitting.append((not is_on_cpu, value["seconds"] / value["cells"]))
    if fitting:
        exact = [speed for has_same_threads, speed in fitting if has_same_threads]
        return (exact or [speed for _, speed in fitting])[-1], bool(exact)
    place = model.device.value
    if model.device is DeviceChoice.AUTO:
        place = "cuda" if Path("/dev/nvidiactl").exists() else "cpu"
    guess = GUESSED_PUBLISHED_SECONDS.get(place, GUESSED_PUBLISHED_SECONDS["cpu"])
    if spec.codec == "block":
        guess = GUESSED_SECONDS.get(("nano", place), GUESSED_SECONDS["nano", "cpu"])
    return guess, False


def _speeds() -> dict[str, dict[str, float]]:
    """What was remembered; a damaged file is as good as none."""
    try:
        known = json.loads((cache_dir() / _SPEEDS).read_text(encoding="utf-8"))
        return {
            str(key): {"cells": float(value["cells"]), "seconds": float(value["seconds"])}
            for key, value in known.items()
            if key.count("|") == 3 and value["cells"] > 0
        }
    except (OSError, ValueError, AttributeError, KeyError, TypeError):
        return {}


def _threads() -> int:
    """Of torch on the CPU, without asking torch."""
    given = os.environ.get("OMP_NUM_THREADS", "")
    return int(given) if given.isdecimal() and int(given) else os.cpu_count() or 1
