"""Where a picture's caption comes from, and the captions that people have written down."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from dit4sr_cli.core import events
from dit4sr_cli.core.errors import InputError, OutputError
from dit4sr_cli.core.parts import part_of

MAX_BYTES = 64 << 10
"""Far more than any encoder reads: a larger file is not a prompt."""
SUFFIX = ".txt"


@dataclass(frozen=True, slots=True)
class Caption:
    """What is said to be in a picture, and who said it.

    Args:
        text: one line; may be empty.
        origin: `option`, `file:PATH`, `folder:PATH`, `sidecar:PATH`, `captioner:NAME@REVISION` or
            `none`.
        raw: what the captioner said before sentences were left out.
    """

    text: str
    origin: str
    raw: str = ""


NO_CAPTION = Caption("", "none")


def written_caption(
    picture: Path | None,
    *,
    prompt: str | None = None,
    prompt_file: Path | None = None,
    prompts: Path | None = None,
    sidecars: bool = True,
    observe: events.Observer = events.ignore,
) -> Caption | None:
    """The first of: the prompt itself, its file, the picture's file in a folder, a sidecar.

    A folder without a file for this picture is a warning, not a failure: in a batch some pictures
    are described by hand and the rest is left to the captioner.

    Args:
        picture: None if it came through a pipe, and has no name.
        prompt: the caption itself.
        prompt_file: a file with the caption.
        prompts: a folder of captions; photo.jpg.txt goes before photo.txt.
        sidecars: whether files beside the picture are looked for, with the same names.
        observe: hears of a folder that has nothing for this picture, and of sidecars.

    Raises:
        InputError: a file or folder cannot be read, or is no text.
    """
    if prompt is not None:
        return Caption(one_line(prompt), "option")
    if prompt_file is not None:
        return Caption(read_text(prompt_file), f"file:{prompt_file}")
    if prompts is not None:
        path = _in_folder(prompts, picture, observe)
        if path is not None:
            return Caption(read_text(path), f"folder:{path}")
    if picture is not None and sidecars:
        path = sidecar_of(picture)
        if path is not None:
            observe(events.Noted(f"{picture}: prompt from {path}"))
            return Caption(read_text(path), f"sidecar:{path}")
    return None


def sidecar_of(picture: Path) -> Path | None:
    """The caption beside a picture, if there is one."""
    return _named_after(picture, picture.parent)


def read_text(path: Path) -> str:
    """A text file as one line.

    Raises:
        InputError: it is missing, too long, or no UTF-8 text.
    """
    try:
        with path.open("rb") as stream:  # a pipe will do: no look at its size
            data = stream.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from error
    if len(data) > MAX_BYTES:
        raise InputError(f"{path}: longer than 64 KiB, too long for a prompt")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not text in UTF-8", hint="save it as UTF-8") from error
    if "\0" in text:
        raise InputError(f"{path}: not a text file")
    return one_line(text)


def write_text(path: Path, text: str) -> None:
    """Write one line to a file; what stood there before stays until all is written.

    Raises:
        OutputError: it cannot be written.
    """
    temporary = part_of(path)
    try:
        try:
            with temporary.open("x", encoding="utf-8", newline="\n") as stream:
                stream.write(f"{text}\n")
                stream.flush()
                os.fsync(stream.fileno())
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(f"{path}: cannot be written: {error.strerror}") from error


def one_line(text: str) -> str:
    """The text with every run of spaces, tabs and line ends made one space."""
    return " ".join(text.split())


def _in_folder(folder: Path, picture: Path | None, observe: events.Observer) -> Path | None:
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder", hint="--prompts takes a folder of texts")
    if picture is None:
        observe(events.Warned(f"{folder}: a picture from a pipe has no name to look for here"))
        return None
    path = _named_after(picture, folder)
    if path is None:
        names = " or ".join(path.name for path in _names(picture, folder))
        observe(events.Warned(f"{picture}: no {names} in {folder}"))
    return path


def _named_after(picture: Path, folder: Path) -> Path | None:
    return next((path for path in _names(picture, folder) if path.is_file()), None)


def _names(picture: Path, folder: Path) -> tuple[Path, Path]:
    """The full name goes first: beside photo.tif, photo.jpg.txt can mean only one of them."""
    return folder / f"{picture.name}{SUFFIX}", folder / f"{picture.stem}{SUFFIX}"
