"""The benchmarks of the paper: how to tell them, where their pictures lie, and what was published.

StableSR's and SeeSR's copies of DrealSR and RealSR have `test_LR` and `test_HR` in a folder such as
`DrealSRVal_crop128`; RealLR200 and RealLQ250 are flat folders without references.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import Any

from dit4sr_cli.core.errors import InputError, UsageError

SOURCE = "paper_tables.json"
PROTOCOL = (
    "the paper: 40 steps, guidance 8, x4, adain, DiT4SR-q, captions of the LR pictures, "
    "from noise; all of these are the published model's defaults"
)
_INPUTS = ("test_LR", "LR", "lr", "LQ", "lq")
_REFERENCES = ("test_HR", "HR", "hr", "GT", "gt")
_OF_PAPER = {"clipiqa": "clipiqa+"}
"""The paper's columns by our names, where these differ."""


@dataclass(frozen=True, slots=True)
class Benchmark:
    """A set of the paper.

    Args:
        pictures: how many it has.
        pattern: of the names of its folder.
    """

    name: str
    pictures: int
    has_references: bool
    pattern: str


BENCHMARKS = {
    one.name: one
    for one in (
        Benchmark("DrealSR", 93, True, r"drealsr"),
        Benchmark("RealSR", 100, True, r"realsr"),
        Benchmark("RealLR200", 200, False, r"reallr[ _-]?200"),
        Benchmark("RealLQ250", 250, False, r"reallq[ _-]?250"),
    )
}


@dataclass(frozen=True, slots=True)
class Layout:
    """Where the pictures of a set are.

    Args:
        benchmark: which of the paper's it is; None: none of them, or not known.
    """

    inputs: Path
    references: Path | None
    benchmark: Benchmark | None = None


def find(folder: Path, references: Path | None = None, *, named: str | None = None) -> Layout:
    """Look into a folder for the layouts that sets come in.

    Args:
        folder: of pictures, or a set's with `test_LR` and `test_HR` (LR and HR, lq and gt) in it.
        references: where they are; None: as the layout says.
        named: the benchmark, whatever the folder is called.

    Raises:
        InputError: there is no such folder, or the benchmark's references are missing.
        UsageError: there is no such benchmark.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder", hint="name a folder with pictures")
    benchmark = by_name(named) if named else _by_folder(folder)
    inputs = _first(folder, _INPUTS) or folder
    if references is None and inputs != folder:
        references = _first(folder, _REFERENCES)
    if references is None and inputs == folder and folder.name in _INPUTS:
        references = _first(folder.parent, (_REFERENCES[_INPUTS.index(folder.name)],))
    if named and benchmark and benchmark.has_references and references is None:
        raise InputError(
            f"{folder}: {benchmark.name} has references, and they are not here",
            hint="put test_LR and test_HR into it, or name their folder with --reference",
        )
    return Layout(inputs, references, benchmark)


def published(benchmark: str) -> dict[str, dict[str, float]]:
    """System to metric to figure, as in the paper's Table 1 and its supplement."""
    tables = _tables()
    systems: dict[str, dict[str, float]] = {}
    for metric, figures in tables["benchmarks"][benchmark].items():
        for system, value in figures.items():
            systems.setdefault(system, {})[_OF_PAPER.get(metric, metric)] = value
    for system, (psnr, ssim) in tables["supplement"]["psnr_ssim"].get(benchmark, {}).items():
        systems[system] |= {"psnr": psnr, "ssim": ssim}
    return systems


def published_ablations() -> Mapping[str, Mapping[str, float]]:
    """Variant to metric to figure on RealLQ250: the paper's Table 4, and SD3-ControlNet's row."""
    found = {name.lower(): dict(row) for name, row in _tables()["ablations_RealLQ250"].items()}
    baseline = published("RealLQ250")["SD3-ControlNet"]
    found["sd3-controlnet"] = {metric: baseline[metric] for metric in ("musiq", "maniqa")}
    return found


def source() -> str:
    """Where the published figures are from."""
    return str(_tables()["source"])


@lru_cache(maxsize=1)
def _tables() -> dict[str, Any]:
    place = resources.files("dit4sr_cli.evaluation") / "data" / SOURCE
    tables: dict[str, Any] = json.loads(place.read_text(encoding="utf-8"))
    return tables


def by_name(name: str) -> Benchmark:
    """One of the four.

    Raises:
        UsageError: there is no such benchmark.
    """
    for known in BENCHMARKS.values():
        if known.name.lower() == name.lower():
            return known
    raise UsageError(f"{name!r} is no benchmark", hint=f"there are {', '.join(BENCHMARKS)}")


def _by_folder(folder: Path) -> Benchmark | None:
    """The folder's own name, or the one that it is a part of."""
    for name in (folder.resolve().name, folder.resolve().parent.name):
        for known in BENCHMARKS.values():
            if re.match(known.pattern, name, re.IGNORECASE):
                return known
    return None


def _first(folder: Path, names: tuple[str, ...]) -> Path | None:
    return next((folder / name for name in names if (folder / name).is_dir()), None)
