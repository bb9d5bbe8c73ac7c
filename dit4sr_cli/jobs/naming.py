"""Names the results of many pictures: by a template, below one folder, never one for two.

A name depends on the picture's own name alone. Only where two pictures of one run would get the
same default name (a.jpg and a.png), both take their whole name (a.jpg_x4.png, a.png_x4.png): both
and not the second, so that the order in which they are found decides nothing.
"""

from __future__ import annotations

import os
import string
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath

from dit4sr_cli.core.errors import UsageError
from dit4sr_cli.core.settings import UpscaleSettings
from dit4sr_cli.core.words import did_you_mean
from dit4sr_cli.imaging import formats
from dit4sr_cli.jobs.discover import Found

DEFAULT_TEMPLATE = "{stem}_{size}{suffix}"
WHOLE_NAME_TEMPLATE = "{name}_{size}{suffix}"
FIELDS = ("stem", "suffix", "name", "parent", "ext", "scale", "size")
_TIFF_SUFFIXES = (".tif", ".tiff")
_OPTION = "--output-template"


def targets(
    files: Iterable[Found],
    *,
    output: Path | None,
    template: str | None,
    format: str | None,
    settings: UpscaleSettings,
) -> dict[Path, Path]:
    """Where the result of each picture goes. Nothing is made, and nothing is looked up but links.

    Args:
        files: all of a run, before any is left out for being done: names must not depend on it.
        output: the folder that mirrors the inputs'; None: each result is beside its picture.
        template: of the name, with {stem}, {suffix} (of the result), {name}, {parent}, {ext},
            {scale}, {size}; a / makes folders; None: `{stem}_{size}{suffix}`, or the whole name.
        format: of the results; None: TIFF stays TIFF, anything else becomes PNG.
        settings: for {scale} and {size}.

    Raises:
        UsageError: the template is no template, two results have one name, or one is an input.
    """
    files = tuple(files)
    suffix = formats.extension_of(formats.format_of(None, format, "")) if format else None
    pattern = DEFAULT_TEMPLATE if template is None else _checked(template, settings)
    named = {file.path: _target(file, output, pattern, suffix, settings) for file in files}
    if template is None:
        clashing = {path for paths in _clashes(named) for path in paths}
        for file in files:
            if file.path in clashing:
                named[file.path] = _target(file, output, WHOLE_NAME_TEMPLATE, suffix, settings)
    for first, second, *_ in _clashes(named):
        raise UsageError(
            f"{first} and {second} would both become {named[first]}",
            hint=f'tell them apart: {_OPTION} "{{parent}}/{{name}}_{{size}}{{suffix}}"',
        )
    _refuse_inputs(named)
    return named


def _target(
    file: Found, output: Path | None, template: str, suffix: str | None, settings: UpscaleSettings
) -> Path:
    # A template that says {parent} places the tree itself; otherwise it is mirrored.
    has_parent = "{parent}" in template
    if output is not None:
        folder = output if has_parent else output / file.relative.parent
    else:
        depth = len(file.relative.parts) if has_parent else 1
        folder = file.path.parents[min(depth, len(file.path.parents)) - 1]
    name = template.format_map(_values(file, suffix, settings))
    return folder / _inside(name, template)


def _values(file: Found, suffix: str | None, settings: UpscaleSettings) -> dict[str, str]:
    path = file.path
    kept = path.suffix if path.suffix.lower() in _TIFF_SUFFIXES else ".png"
    scale = f"{settings.scale:g}"
    return {
        "stem": path.stem,
        "suffix": suffix or kept,
        "name": path.name,
        "parent": file.relative.parent.as_posix(),
        "ext": path.suffix.removeprefix("."),
        "scale": scale,
        "size": f"{settings.long_edge}px" if settings.long_edge else f"x{scale}",
    }


def _checked(template: str, settings: UpscaleSettings) -> str:
    """The template, with a suffix: a result without one has no format."""
    try:
        parsed = list(string.Formatter().parse(template))
    except ValueError as error:
        hint = "write {{ and }} for braces in a name"
        raise UsageError(f"{_OPTION} {template!r}: {error}", hint=hint) from error
    names = {name for _, name, _, _ in parsed if name is not None}
    for name in sorted(names - set(FIELDS)):
        known = "known are " + ", ".join(f"{{{field}}}" for field in FIELDS)
        meant = did_you_mean(name, FIELDS)
        hint = f"{meant} {known}" if meant else known
        raise UsageError(f"{_OPTION} {template!r}: unknown field {{{name}}}", hint=hint)
    if any(spec or conversion for _, _, spec, conversion in parsed):
        raise UsageError(f"{_OPTION} {template!r}: fields take no : and no !")
    if "scale" in names and settings.long_edge:
        raise UsageError(
            f"{_OPTION} {template!r}: with --long-edge every picture has its own {{scale}}",
            hint="{size} is the length of the long edge",
        )
    if not template or template.endswith("/"):
        raise UsageError(f"{_OPTION} {template!r}: a name is missing at its end")
    written = {ext for fmt in formats.WRITABLE.values() for ext in fmt.extensions}
    has_suffix = "suffix" in names or PurePosixPath(template).suffix.lower() in written
    return template if has_suffix else template + "{suffix}"


def _inside(name: str, template: str) -> str:
    """The name, if it stays in its folder."""
    path = PurePosixPath(name)
    is_plain = "\0" not in name and (os.sep == "/" or os.sep not in name)
    if path.is_absolute() or ".." in path.parts or not path.name or not is_plain:
        raise UsageError(
            f"{_OPTION} {template!r}: {name!r} is outside the output folder",
            hint="name the folder with -o, and files in it with the template",
        )
    return name


def _clashes(named: dict[Path, Path]) -> list[Sequence[Path]]:
    """Groups of pictures whose results would be one file."""
    groups: dict[str, list[Path]] = defaultdict(list)
    for source, target in named.items():
        groups[os.path.normcase(os.path.abspath(target))].append(source)  # noqa: PTH100
    return [sources for sources in groups.values() if len(sources) > 1]


def _refuse_inputs(named: dict[Path, Path]) -> None:
    inputs = {os.path.realpath(source): source for source in named}
    for source, target in named.items():
        hit = inputs.get(os.path.realpath(target))
        if hit is not None:
            raise UsageError(
                f"the result of {source} would land on {hit}, which is an input of this run",
                hint="write to a folder with -o, or leave that file out with --exclude",
            )
