"""The commands as a manual page, in man's own macros."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from textwrap import wrap
from typing import Any

import typer

_HEAD = """\
.\\" Made by tools/gen_docs.py from the commands.
.TH DIT4SR 1 "" "dit4sr {version}" "User Commands"
.SH NAME
dit4sr \\- enlarge and restore photographs x4 with a diffusion transformer
.SH SYNOPSIS
.B dit4sr
.I COMMAND
.RI [ OPTION .\\|.\\|.]
.SH DESCRIPTION
Standard output carries results, standard error carries talk.
A result is whole or not there at all.
.B dit4sr help
.I TOPIC
shows longer texts, among them the exit codes.
"""
_TALK = {"quiet", "verbose", "json"}


def man_page(root: Any, version: str, topics: Mapping[str, str]) -> str:
    """The page: commands with their options, then what all of them take, then topics."""
    lines = [".SH COMMANDS"]
    for path, command in _commands(root, ()):
        lines += _command(path, command)
    lines += [".SH OPTIONS OF EVERY COMMAND"]
    sample = next(command for path, command in _commands(root, ()) if path == ("upscale",))
    for param in sample.params:
        if param.name in _TALK:
            lines += _option(param, typer.Context(sample))
    lines += [".SH TOPICS", "For", '.BR "dit4sr help" :']
    for name, title in topics.items():
        lines += [".TP", f".B {_escaped(name)}", _escaped(title)]
    return _HEAD.format(version=version) + "\n".join(lines) + "\n"


def _commands(group: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    for name, command in group.commands.items():
        if command.hidden:
            continue
        if hasattr(command, "commands"):
            yield from _commands(command, (*path, name))
        else:
            yield (*path, name), command


def _command(path: tuple[str, ...], command: Any) -> Iterator[str]:
    context = typer.Context(command)
    pieces = command.collect_usage_pieces(context)
    arguments = [piece.strip("{}") for piece in pieces if piece != "[OPTIONS]"]
    yield f'.SS "{_escaped(" ".join(["dit4sr", *path, *arguments]))}"'
    yield from _text(command.help or "")
    for param in command.params:
        if param.name not in _TALK:
            yield from _option(param, context)


def _option(param: Any, context: Any) -> Iterator[str]:
    record = param.get_help_record(context)
    if record is None:
        return
    names, said = record
    yield ".TP"
    yield f".B {_escaped(re.sub(r' <[a-z]+>', '', names))}"
    yield from _text(said) or ["\\&"]


def _text(said: str) -> list[str]:
    return [_escaped(line) for line in wrap(" ".join(said.split()), 70, break_on_hyphens=False)]


def _escaped(text: str) -> str:
    """Hyphens that can be copied, and no macro at the start of a line."""
    text = text.replace("\\", "\\e").replace("-", "\\-").replace('"', "\\(dq")
    text = text.replace("`", "\\(ga").replace("'", "\\(aq")
    return re.sub(r"^\.", r"\\&.", text)
