"""Finds the pictures that words on a command line mean: files, folders, patterns and lists.

Only names are looked at. What is in a file, the reader finds out.
"""

# Paths are strings here: names are kept as they were given, links are not followed by accident,
# and a hundred thousand Path objects are not made for nothing.
# ruff: noqa: PTH100, PTH111, PTH112, PTH118, PTH120, PTH122, PTH206

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TextIO

from dit4sr_cli.core.errors import InputError, UsageError
from dit4sr_cli.imaging.formats import WRITABLE

EXTENSIONS = frozenset(
    {ext for fmt in WRITABLE.values() for ext in fmt.extensions}
    | {".gif", ".bmp", ".dib", ".heic", ".heif"}
    | {".jp2", ".j2k", ".j2c", ".jpc", ".jpf", ".jpx", ".pnm", ".pbm", ".pgm", ".ppm"}
)
"""What is taken from folders; HEIC because some builds of libvips can decode it."""
OWN_PARTIAL = ".part"

_CANNOT = {
    ".jxl": "JPEG XL, which is not decoded here: convert it to PNG first",
    ".psd": "a Photoshop document: export it as TIFF or PNG first",
    ".psb": "a Photoshop document: export it as TIFF or PNG first",
    ".pdf": "a PDF: extract its pictures first",
}
_RAW = frozenset(
    [
        ".3fr",
        ".arw",
        ".cr2",
        ".cr3",
        ".crw",
        ".dng",
        ".erf",
        ".iiq",
        ".mrw",
        ".nef",
        ".nrw",
        ".orf",
        ".pef",
        ".raf",
        ".rw2",
        ".srw",
        ".x3f",
    ]
)
_RESULT = re.compile(r"(?P<stem>.+)_(x[0-9.]+|[0-9]+px)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Found:
    """A picture, and its place below the folder that all inputs share."""

    path: Path
    relative: Path


@dataclass(frozen=True, slots=True)
class Discovery:
    """The pictures in their order, and what else was there with the reason why it was left."""

    files: tuple[Found, ...]
    skipped: tuple[tuple[Path, str], ...]


@dataclass(frozen=True, slots=True)
class _Seen:
    """A file met on the way: the folder that its input named; `refused` says why it is left."""

    path: str
    root: str
    refused: str = ""


def discover(
    inputs: Sequence[str],
    *,
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
    listing: TextIO | None = None,
    output: Path | None = None,
) -> Discovery:
    """All pictures that the inputs name, each once.

    A file that is named itself is always taken, even if it is missing: then it fails as a file of
    its own, and the others go on. `relative` starts at the deepest folder that all inputs share,
    so that several folders do not fall into one another.

    Args:
        inputs: files, folders, patterns with * ? [] **, `@LIST`, and `-` for a list on `listing`.
        include: patterns; if there are any, only what matches one is taken.
        exclude: patterns; what matches one is left.
        listing: paths, separated by line ends or by NUL.
        output: where results go; in it nothing is looked for, unless it is an input itself.

    Raises:
        InputError: a list cannot be read, or there is no picture at all.
    """
    words = [word for given in inputs for word in _words(given, listing)]
    seen = [item for word in words for item in _expand(word)]
    base = _shared([item.root for item in seen])
    chosen = _Chosen(base, include, exclude, _results_folder(output, seen))
    wanted = [item for item in seen if chosen.takes(item.path)]
    files = _each_once([item for item in wanted if not item.refused])
    found = tuple(Found(Path(item.path), chosen.relative(item.path)) for item in files)
    skipped = {Path(item.path): item.refused for item in wanted if item.refused}
    for file in found:
        skipped.pop(file.path, None)
    if not found:
        raise _nothing(inputs, include, exclude, skipped)
    return Discovery(found, tuple(skipped.items()))


def is_picture_name(path: Path) -> bool:
    """Whether a file in a folder is taken for a picture, by its name."""
    return not (_is_ours_or_hidden(path.name) or _refusal(path.name))


def natural_key(path: str | Path) -> tuple[object, ...]:
    """Sorts scan2 before scan10, folder by folder, and never finds two names equal."""
    text = os.fspath(path)
    parts = [
        tuple(
            (0, int(run), "") if run.isdecimal() else (1, 0, run)
            for run in re.split(r"([0-9]+)", part.casefold())
            if run
        )
        for part in text.split(os.sep)
    ]
    return (*parts, ((2, 0, text),))


def matches(relative: str, pattern: str, *, is_case_exact: bool = False) -> bool:
    """Whether a pattern means this path: its name, the whole of it, or a folder on the way.

    `*.tif` and `thumbs` mean names, `2019/*.tif` and `**/raw/*` paths from the start.
    """
    parts = relative.split(os.sep)
    pattern = pattern.strip("/") if pattern != "/" else pattern
    fits = _compiled(pattern, is_case_exact)
    if "/" not in pattern and not is_case_exact:
        return any(fits(part) for part in parts)
    return any(fits("/".join(parts[:end])) for end in range(1, len(parts) + 1))


# -------------------------------------------------------------- words to files


def _words(given: str, listing: TextIO | None) -> list[tuple[str, bool]]:
    """Paths and patterns, each with whether it is from the command line itself."""
    if given == "-":
        if listing is None:
            raise UsageError("there is no standard input to read a list of pictures from")
        return [(word, False) for word in _lines(_all_of(listing))]
    if not given.startswith("@") or len(given) == 1:
        return [(given, True)]
    path = Path(given[1:]).expanduser()
    try:
        data = path.read_bytes()
    except OSError as error:
        hint = f"a picture of that name is ./{given}"
        raise InputError(f"{path}: {error.strerror}: a list of pictures", hint=hint) from error
    return [(word, False) for word in _lines(_as_names(data))]


def _all_of(listing: TextIO) -> str:
    """Standard input by its bytes: names need not be what its encoding expects."""
    binary = getattr(listing, "buffer", None)
    return listing.read() if binary is None else _as_names(binary.read())


def _as_names(data: bytes) -> str:
    """Names are bytes: what is no UTF-8 stays what it is."""
    return data.decode("utf-8", "surrogateescape")


def _lines(text: str) -> list[str]:
    """A path a line, or between NULs; # begins a comment, unless there is a file of that name."""
    if "\0" in text:
        return [word for word in text.split("\0") if word]
    lines = [line.removesuffix("\r") for line in text.removeprefix("\ufeff").split("\n")]
    return [line for line in lines if line.strip() and (line[0] != "#" or os.path.lexists(line))]


def _expand(word: tuple[str, bool]) -> Iterator[_Seen]:
    text, is_typed = word
    if not text:
        raise UsageError("an input has an empty name")
    if is_typed:
        text = os.path.expanduser(text)
    if os.path.isdir(text):
        root = os.path.normpath(text)
        yield from _in_folder(root, lambda parts: True, lambda relative: True)
    elif _is_pattern(text) and not os.path.lexists(text):
        yield from _by_pattern(text)
    else:
        path = os.path.normpath(text)
        yield _Seen(path, os.path.dirname(path))


def _by_pattern(text: str) -> Iterator[_Seen]:
    """What a shell would name, walking folders that match; ** means any number of folders."""
    parts = os.path.normpath(text).split(os.sep)
    first = next(i for i, part in enumerate(parts) if _is_pattern(part))
    root = os.sep.join(parts[:first]) or (os.sep if text.startswith(os.sep) else "")
    pattern = "/".join(parts[first:])
    depth = len(parts) - first
    is_deep = "**" in parts

    def may_enter(below: Sequence[str]) -> bool:
        return is_deep or len(below) < depth or fits(os.sep.join(below))

    def fits(relative: str) -> bool:
        return matches(relative, pattern, is_case_exact=True)

    found = list(_in_folder(root, may_enter, fits))
    yield from found or [_Seen(text, root, refused="nothing matches this pattern")]


def _is_pattern(text: str) -> bool:
    return any(sign in text for sign in "*?[")


def _in_folder(
    root: str, may_enter: Callable[[Sequence[str]], bool], fits: Callable[[str], bool]
) -> Iterator[_Seen]:
    """The files below a folder, sorted."""
    start = len(root) + (0 if root.endswith(os.sep) or not root else 1)
    found = []
    for item in _walk(root, lambda path: may_enter(path[start:].split(os.sep))):
        if fits(item.path[start:]) or item.path == root:
            found.append(item)
    yield from sorted(found, key=lambda item: natural_key(item.path))


def _walk(root: str, may_enter: Callable[[str], bool]) -> Iterator[_Seen]:
    """Every folder once: real ones first, then those behind links, so that loops end."""
    folders, links, visited = [root], list[str](), set[str]()
    while folders or links:
        folder = folders.pop() if folders else links.pop(0)
        real = os.path.realpath(folder)
        if real in visited:
            continue
        visited.add(real)
        try:
            with os.scandir(folder or os.curdir) as entries:
                there = list(entries)
        except OSError as error:
            yield _Seen(folder, root, refused=f"folder cannot be read: {error.strerror}")
            continue
        names = {entry.name for entry in there}
        for entry in there:
            path = os.path.join(folder, entry.name)
            if _is_ours_or_hidden(entry.name):
                continue
            if _is_folder(entry):
                if may_enter(path):
                    (links if entry.is_symlink() else folders).append(path)
            else:
                yield _Seen(path, root, _kind_of(entry) or _refusal(entry.name, names))


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False


def _kind_of(entry: os.DirEntry[str]) -> str:
    """Why an entry is no file: a broken link, a pipe, a socket, a device."""
    try:
        if entry.is_file():
            return ""
    except OSError as error:
        return f"cannot be looked at: {error.strerror}"
    return "a link to nothing" if entry.is_symlink() else "not a file"


def _is_ours_or_hidden(name: str) -> bool:
    """Hidden, as our own folder .dit4sr is, or half written."""
    return name.startswith(".") or name.endswith(OWN_PARTIAL)


def _refusal(name: str, siblings: set[str] = frozenset()) -> str:  # type: ignore[assignment]
    """Why a file of a folder is left out, by its name; empty: it is not."""
    stem, extension = os.path.splitext(name)
    extension = extension.lower()
    if extension in _RAW:
        return "a raw camera file: develop it first"
    if extension not in EXTENSIONS:
        return _CANNOT.get(extension, "not a picture, by its name")
    made = _RESULT.fullmatch(stem)
    if made and (source := _source_of(made["stem"], siblings)):
        return f"by its name the result of {source}"
    return ""


def _source_of(stem: str, siblings: set[str]) -> str | None:
    """The picture beside a result that it was made from: photo.jpg for photo_x4.png."""
    if stem in siblings and os.path.splitext(stem)[1].lower() in EXTENSIONS:
        return stem  # photo.jpg_x4.png
    cased = (e for ext in sorted(EXTENSIONS) for e in (ext, ext.upper()))
    return next((stem + ext for ext in cased if stem + ext in siblings), None)


# ------------------------------------------------------------- which, and where


class _Chosen:
    """Answers whether a path is wanted, and where it is below the shared folder."""

    def __init__(
        self, base: str | None, include: Sequence[str], exclude: Sequence[str], results: str | None
    ) -> None:
        self._base, self._results = base, results
        self._include, self._exclude = include, exclude

    def relative(self, path: str) -> Path:
        absolute = os.path.abspath(path)
        if self._base is None:
            return Path(absolute).relative_to(Path(absolute).anchor)
        return Path(absolute).relative_to(self._base)

    def takes(self, path: str) -> bool:
        if self._results and os.path.realpath(path).startswith(self._results + os.sep):
            return False
        if not (self._include or self._exclude):
            return True
        relative = str(self.relative(path))
        names = (relative, os.path.normpath(path))
        if any(matches(name, pattern) for pattern in self._exclude for name in names):
            return False
        return not self._include or any(
            matches(name, pattern) for pattern in self._include for name in names
        )


def _shared(roots: Sequence[str]) -> str | None:
    """The deepest folder that holds all; None: they are on several drives."""
    try:
        return os.path.commonpath({os.path.abspath(root) for root in roots} or {os.curdir})
    except ValueError:
        return None


def _results_folder(output: Path | None, seen: Sequence[_Seen]) -> str | None:
    """The output, if it lies in an input and results in it would be found as pictures."""
    if output is None:
        return None
    real = os.path.realpath(output)
    roots = {os.path.realpath(item.root or os.curdir) for item in seen}
    is_input = any(root == real or root.startswith(real + os.sep) for root in roots)
    return None if is_input else real


def _each_once(files: Sequence[_Seen]) -> list[_Seen]:
    """One of the names of each file, preferably its own and not a link's."""
    best: dict[str, _Seen] = {}
    for item in files:
        real = os.path.realpath(item.path)
        is_own = real == os.path.abspath(item.path)
        if real not in best or (is_own and os.path.abspath(best[real].path) != real):
            best[real] = item
    kept = {id(item) for item in best.values()}
    return [item for item in files if id(item) in kept]


def _nothing(
    inputs: Sequence[str],
    include: Sequence[str],
    exclude: Sequence[str],
    skipped: dict[Path, str],
) -> InputError:
    where = ", ".join(inputs[:5]) + (", ..." if len(inputs) > 5 else "")
    limits = [f"--include {p}" for p in include] + [f"--exclude {p}" for p in exclude]
    message = f"no picture found in {where or 'an empty list'}"
    if limits:
        message += f" with {' '.join(limits)}"
    if skipped:
        path, reason = next(iter(skipped.items()))
        more = f" and {len(skipped) - 1} more left out" if len(skipped) > 1 else ""
        message += f" ({path}: {reason}{more})"
    return InputError(message, hint="looked for JPEG, PNG, TIFF, WebP, GIF, AVIF, JPEG 2000, BMP")


@lru_cache(maxsize=256)
def _compiled(pattern: str, is_case_exact: bool) -> Callable[[str], object]:
    """A pattern as a regular expression; * and ? stop at /, which ** does not."""
    text = "".join(map(_translated, re.split(r"(\*\*/|\*\*|\*|\?|\[!?\]?[^\]]*\])", pattern)))
    flags = re.DOTALL if is_case_exact else re.DOTALL | re.IGNORECASE
    try:
        return re.compile(text, flags).fullmatch
    except re.error as error:  # [z-a]
        raise UsageError(f"{pattern}: {error.msg}", hint="is it a pattern?") from error


def _translated(token: str) -> str:
    fixed = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    if token in fixed:
        return fixed[token]
    if token.startswith("[") and token.endswith("]") and len(token) > 2:
        body = re.sub(r"([\\\[\]&~|^])", r"\\\1", token[1:-1])
        return f"[^/{body[1:]}]" if body.startswith("!") else f"[{body}]"
    return re.escape(token)
