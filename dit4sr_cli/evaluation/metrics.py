"""Which figures there are, by name: what each needs, which way is better, and which version it is.

PSNR, SSIM, sharpness and NIQE need nothing but numpy. Others need packages (the extra `eval`), and
those of `iqa` weights besides; whatever is missing is said before any picture is made.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from enum import Enum
from functools import partial
from typing import TypeAlias

from dit4sr_cli.core import events
from dit4sr_cli.core.errors import UsageError
from dit4sr_cli.core.words import did_you_mean
from dit4sr_cli.evaluation import iqa, packages, pixels
from dit4sr_cli.evaluation.loaded import Loaded
from dit4sr_cli.evaluation.niqe import niqe

OWN_VERSION = "dit4sr 1"
"""Of the figures that are computed here; grows when their values change."""
ANY_OF_PYIQA = "iqa:"


class Needs(Enum):
    """What a figure is computed from."""

    RESULT = "result"
    REFERENCE = "result and reference"
    SETS = "all results and all references"


@dataclass(frozen=True, slots=True)
class Metric:
    """A figure: its name on the command line, its heading, and which way is better.

    Args:
        direction: 1 if higher is better, -1 if lower is, 0 if it only describes.
        load: makes the measure; imports what that takes. True: weights may be fetched.
        needs: what it is computed from.
        digits: behind the point, in tables.
        is_optional: left out, with a warning, where it cannot be loaded.
    """

    name: str
    title: str
    direction: int
    load: Load
    needs: Needs = Needs.REFERENCE
    digits: int = 4
    is_optional: bool = False

    def is_better(self, value: float, other: float) -> bool:
        """Whether one figure beats another."""
        return self.direction * (value - other) > 0


Load: TypeAlias = Callable[[bool], Loaded]


def _own(measure: Callable[..., float]) -> Load:
    return lambda fetch: Loaded(measure, OWN_VERSION)


def _result_alone(image: pixels.Image, reference: pixels.Image | None = None) -> float:
    return niqe(image)


_RESULT, _SETS = Needs.RESULT, Needs.SETS
_TABLE = (
    Metric("psnr", "PSNR-Y", 1, _own(pixels.psnr), digits=2),
    Metric("ssim", "SSIM-Y", 1, _own(pixels.ssim)),
    Metric("sharpness", "sharpness", 0, _own(pixels.sharpness)),
    Metric("stlpips", "ST-LPIPS", -1, partial(packages.stlpips, "alex")),
    Metric("stlpips-vgg", "ST-LPIPS VGG", -1, partial(packages.stlpips, "vgg")),
    Metric("dss", "DSS", 1, partial(packages.piq, "dss")),
    Metric("haarpsi", "HaarPSI", 1, partial(packages.piq, "haarpsi")),
    Metric("gmsd", "GMSD", -1, partial(packages.piq, "gmsd")),
    Metric("cvvdp", "CVVDP", 1, packages.cvvdp, digits=3),
    Metric("niqe", "NIQE", -1, _own(_result_alone), _RESULT, 3),
    Metric("piqe", "PIQE", -1, partial(iqa.load, "piqe"), _RESULT, 2),
    Metric("lpips", "LPIPS", -1, partial(iqa.load, "lpips")),
    Metric("dists", "DISTS", -1, partial(iqa.load, "dists")),
    Metric("musiq", "MUSIQ", 1, partial(iqa.load, "musiq"), _RESULT, 3),
    Metric("maniqa", "MANIQA", 1, partial(iqa.load, "maniqa"), _RESULT),
    Metric("maniqa-pipal", "MANIQA PIPAL", 1, partial(iqa.load, "maniqa-pipal"), _RESULT),
    Metric("clipiqa+", "CLIPIQA+", 1, partial(iqa.load, "clipiqa+_vitL14_512"), _RESULT),
    Metric("liqe", "LIQE", 1, partial(iqa.load, "liqe"), _RESULT, 3),
    Metric("fid", "FID", -1, partial(iqa.load, "fid"), _SETS, 2),
)
METRICS = {metric.name: metric for metric in _TABLE}
PAPER = ("lpips", "musiq", "maniqa", "clipiqa+", "liqe")
"""The columns of the paper's Table 1."""
DEFAULTS = ("psnr", "ssim", "stlpips?", "dss?", "haarpsi?", "niqe")
"""What needs no download; with `?`: where its package is there."""
DEFAULTS_ALONE = ("niqe", "piqe?")
"""The same without references."""
GROUPS = {"all": tuple(METRICS), "paper": PAPER, "default": DEFAULTS}


def choose(names: Iterable[str], *, has_references: bool = True) -> list[Metric]:
    """Metrics by name, each once.

    Args:
        names: from METRICS or GROUPS, or `iqa:NAME` for any other metric of pyiqa; a `?` behind
            one leaves it out where it cannot be loaded.
        has_references: groups leave out what cannot be measured without.

    Raises:
        UsageError: there is no such metric, or it needs references and there are none.
    """
    words = [word for name in names for word in _members(name, has_references)]
    chosen: dict[str, Metric] = {}
    for word in words:
        metric = _named(word.rstrip("?"))
        if metric.needs is not Needs.RESULT and not has_references:
            raise UsageError(
                f"metric {metric.name} compares with references, and there are none",
                hint=f"name their folder with --reference, or measure {', '.join(_alone())}",
            )
        optional = word.endswith("?") and chosen.get(metric.name, metric).is_optional
        optional = optional or (word.endswith("?") and metric.name not in chosen)
        chosen[metric.name] = replace(metric, is_optional=optional)
    if not chosen:
        raise UsageError("no metric is named", hint=_there_are())
    return list(chosen.values())


def load_all(
    metrics: Iterable[Metric],
    *,
    fetch: bool = False,
    quietly: bool = False,
    observe: events.Observer = events.ignore,
) -> dict[str, Loaded]:
    """Measures by name; those that are optional and cannot be loaded are told of and left out.

    Args:
        metrics: which.
        fetch: pyiqa may fetch weights that are not here.
        quietly: what is left out is only a detail: nobody asked for it by name.
        observe: hears of licences, and of what is left out.

    Raises:
        UsageError: a metric that is not optional cannot be loaded.
    """
    loaded: dict[str, Loaded] = {}
    for metric in metrics:
        observe(events.PhaseStarted(f"load {metric.name}"))
        try:
            loaded[metric.name] = metric.load(fetch)
        except UsageError as error:
            if not metric.is_optional:
                raise
            said = f"not measured: {error.message}" + (f" ({error.hint})" if error.hint else "")
            observe(events.Noted(said) if quietly else events.Warned(said))
    for terms in dict.fromkeys(one.licence for one in loaded.values() if one.licence):
        observe(events.Warned(terms))
    return loaded


def _members(name: str, has_references: bool) -> tuple[str, ...]:
    word, mark = name.rstrip("?"), "?" if name.endswith("?") else ""
    if word == "default" and not has_references:
        return DEFAULTS_ALONE
    if word not in GROUPS:
        return (name,)
    members = (member + mark for member in GROUPS[word])
    if has_references:
        return tuple(members)
    return tuple(one for one in members if METRICS[one.rstrip("?")].needs is Needs.RESULT)


def _named(name: str) -> Metric:
    if name in METRICS:
        return METRICS[name]
    if name.startswith(ANY_OF_PYIQA):
        other = name[len(ANY_OF_PYIQA) :]
        facts = iqa.facts_of(other)
        needs = Needs.REFERENCE if facts.compares else Needs.RESULT
        direction = -1 if facts.is_lower_better else 1
        return Metric(name, name, direction, partial(iqa.load, other), needs)
    raise UsageError(f"{name!r} is no metric", hint=did_you_mean(name, METRICS) or _there_are())


def _alone() -> list[str]:
    return [metric.name for metric in _TABLE if metric.needs is Needs.RESULT]


def _there_are() -> str:
    return f"there are {', '.join(METRICS)}; {', '.join(GROUPS)}; and iqa:NAME"


def split(text: str) -> list[str]:
    """The names in `psnr, lpips?`."""
    return [name for name in re.split(r"[,\s]+", text) if name]
