"""The page that asks people which of two results they prefer, as one HTML file.

Names are hidden, sides and order are shuffled by a seed, nothing is fetched, votes are saved as
JSON that `votes` reads.
"""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from html import escape
from pathlib import Path
from typing import Any

from dit4sr_cli import __version__
from dit4sr_cli.core import events
from dit4sr_cli.core.errors import UsageError
from dit4sr_cli.evaluation.pairs import by_name, require
from dit4sr_cli.report.policy import content_policy
from dit4sr_cli.report.study.key import Item, Key, packed
from dit4sr_cli.report.study.pictures import Shown, shown
from dit4sr_cli.report.template import filled, joined

CROP = 768
"""Longest side of what is shown of a result: at 100 % three of them nearly fill a screen."""
_STUDY_DIGITS = 12


@dataclass(frozen=True, slots=True)
class Made:
    """A page that was written.

    Args:
        path: of the page.
        key: what it hides.
        pictures: how many there are.
        cropped: of how many only the middle is shown.
        equal: names of pictures whose two results are the same.
        num_bytes: of the page.
    """

    path: Path
    key: Key
    pictures: int
    cropped: int
    equal: tuple[str, ...]
    num_bytes: int


def make(
    methods: Mapping[str, Path],
    lr: Path,
    output: Path,
    *,
    seed: int = 0,
    crop: int | None = CROP,
    overwrite: bool = False,
    observe: events.Observer = events.ignore,
) -> Made:
    """Write the page of a study.

    Args:
        methods: two folders of results by the names of what made them.
        lr: folder of the inputs; files are matched by name without extension.
        output: the page.
        seed: of the order of pictures and sides.
        crop: longest side of what is shown of a result, from its middle; None: all of it.
        overwrite: replace a page that is there.
        observe: told which picture it is at.

    Raises:
        InputError: a folder or picture is missing, damaged, or does not fit the others.
        OutputError: the page cannot be written, or is there.
        UsageError: the two methods are not two.
    """
    from dit4sr_cli.imaging import placing, writer

    writer.check_target(output, overwrite=overwrite)
    matched = match(methods, lr)
    pictures = []
    for number, (name, small, results) in enumerate(matched, 1):
        observe(events.PhaseStarted(f"{name} ({number}/{len(matched)})"))
        pictures.append(shown(name, small, results, crop))
    key = shuffled(pictures, methods, seed)
    page = as_html(pictures, key).encode("utf-8")
    with placing.explained(output), placing.whole_file(output, overwrite=overwrite) as stream:
        stream.write(page)
    return Made(
        path=output,
        key=key,
        pictures=len(pictures),
        cropped=sum(picture.size != picture.whole for picture in pictures),
        equal=tuple(picture.name for picture in pictures if picture.are_equal),
        num_bytes=len(page),
    )


def match(methods: Mapping[str, Path], lr: Path) -> list[tuple[str, Path, dict[str, Path]]]:
    """Name, input and results of each picture that both methods have.

    Raises:
        InputError: one of them has a picture that the other, or the inputs, have not.
        UsageError: the two methods are not two.
    """
    if len(methods) != 2:
        raise UsageError("a study compares two methods", hint="give each another name: NAME=FOLDER")
    found = {method: by_name(folder) for method, folder in methods.items()}
    small = by_name(lr)
    first, second = methods
    require(found[first], found[second], f"{methods[second]}: no result for")
    require(found[second], found[first], f"{methods[first]}: no result for")
    require(found[first], small, f"{lr}: no input for")
    return [
        (name, small[name], {method: found[method][name] for method in methods})
        for name in found[first]
    ]


def shuffled(pictures: Sequence[Shown], methods: Mapping[str, Path], seed: int) -> Key:
    """The order of pictures, and the sides: each method is as often on the left as on the right."""
    first, second = methods
    order = random.Random(f"dit4sr study {seed}")
    names = [picture.name for picture in pictures]
    turned = [index % 2 == 1 for index in range(len(names))]
    if order.random() < 0.5:  # with an odd number one side is once more
        turned = [not turn for turn in turned]
    order.shuffle(names)
    order.shuffle(turned)
    items = (
        Item(name, second, first) if turn else Item(name, first, second)
        for name, turn in zip(names, turned, strict=True)
    )
    return Key(_study_of(pictures, methods), (first, second), tuple(items), seed)


def as_html(pictures: Sequence[Shown], key: Key) -> str:
    """The page; of names it holds none that can be read."""
    style, script = joined("study/study.css"), joined("view.js", "study/study.js")
    parts = {
        "policy": content_policy(style, script),
        "style": style,
        "script": script,
        "version": escape(__version__),
        "count": str(len(pictures)),
        "seed": str(key.seed),
        "data": json.dumps(_data(pictures, key), separators=(",", ":")),
    }
    return filled(joined("study/study.html"), parts)


def _data(pictures: Sequence[Shown], key: Key) -> dict[str, Any]:
    by_stem = {picture.name: picture for picture in pictures}
    shown_items = ((by_stem[item.name], item) for item in key.items)
    return {
        "page": key.page,
        "seed": key.seed,
        "key": packed(key),
        "items": [
            {
                "lr": picture.lr,
                "left": picture.results[item.left],
                "right": picture.results[item.right],
                "size": [picture.size.width, picture.size.height],
                "whole": [picture.whole.width, picture.whole.height],
            }
            for picture, item in shown_items
        ],
    }


def _study_of(pictures: Sequence[Shown], methods: Mapping[str, Path]) -> str:
    state = sha256("\n".join(sorted(methods)).encode("utf-8", "surrogateescape"))
    for digest in sorted(picture.digest for picture in pictures):
        state.update(digest.encode())
    return state.hexdigest()[:_STUDY_DIGITS]
