"""Captions of the HR pictures, one text file for each: written down, asked for, or empty."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from dit4sr_cli.captions.clean import drop_focus_sentences
from dit4sr_cli.captions.source import SUFFIX, Caption, one_line, read_text
from dit4sr_cli.core import events
from dit4sr_cli.core.errors import InputError
from dit4sr_cli.training.data import files
from dit4sr_cli.training.data.index import HOW_TO_BEGIN, Place, require
from dit4sr_cli.training.data.layout import GT, PROMPT
from dit4sr_cli.training.data.outcome import Outcome
from dit4sr_cli.training.data.record import alone_in
from dit4sr_cli.training.data.shards import parts

Describe: TypeAlias = Callable[[NDArray[np.uint8], str], Caption]
"""A captioner: a picture's pixels [H, W, 3] and its name to what it shows."""
Say: TypeAlias = Callable[[str, Place], str]
"""A sample's name and its HR picture to its caption."""


def write_captions(
    data: Path, say: Say, *, observe: events.Observer = events.ignore
) -> Iterator[Outcome]:
    """Write the captions that are not there yet.

    Args:
        data: a folder with pairs.
        say: `captioned`, `written_in` or `nothing`, below.
        observe: hears how many are done.

    Raises:
        InputError: there is no such folder, or nothing to work on in it.
        OutputError: it cannot be written to, or another run is at work there.
    """
    require(data, GT, "training pairs", HOW_TO_BEGIN)
    with alone_in(data):
        for part in parts(data):
            missing = part.lacking(GT, [PROMPT])
            observe(events.PhaseStarted("captions", total=len(missing), unit="pictures"))
            yield Outcome(str(part.folder), kept=len(part.index[GT]) - len(missing))
            for count, name in enumerate(missing, start=1):
                try:
                    text = say(name, part.index[GT][name])
                except InputError as error:
                    yield Outcome(name, error=error)
                else:
                    path = part.folder / PROMPT.folder / f"{name}{PROMPT.suffix}"
                    files.write(path, f"{one_line(text)}\n".encode())
                    yield Outcome(name, made=1)
                observe(events.Advanced(count))


def captioned(describe: Describe) -> Say:
    """What a captioner sees. It leaves out sentences by itself, or does not."""

    def say(name: str, picture: Place) -> str:
        return describe(files.pixels_of(picture.read(), picture.name), name).text

    return say


def written_in(folder: Path, *, is_filtered: bool = True) -> Say:
    """What NAME.txt or NAME.png.txt in a folder says, less the sentences about focus and blur.

    Raises:
        InputError: there is no such folder; later, no such file in it.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder", hint="--from takes a folder of texts")

    def say(name: str, picture: Place) -> str:
        names = (f"{name}{GT.suffix}{SUFFIX}", f"{name}{SUFFIX}")
        path = next((folder / file for file in names if (folder / file).is_file()), None)
        if path is None:
            raise InputError(f"{name}: no {names[1]} in {folder}")
        text = read_text(path)
        return drop_focus_sentences(text) if is_filtered else text

    return say


def nothing(name: str, picture: Place) -> str:
    """An empty caption."""
    return ""
