"""`dit4sr completion` prints a shell's script; the scripts ask the hidden `dit4sr complete`.

The words go in as arguments and come back a line each, so nothing is quoted or split twice, and
one script fits every release: what can be completed is read from the commands themselves.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import Enum
from pathlib import Path
from typing import Annotated, Any

import typer

from dit4sr_cli.cli import streams


class Shell(str, Enum):
    """Shells with a script; its value is the name that people know."""

    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"


SCRIPTS = {Shell.BASH: "dit4sr.bash", Shell.ZSH: "_dit4sr", Shell.FISH: "dit4sr.fish"}
"""File names as the shells want them."""
_FOLDER = Path(__file__).parent / "shells"

ShellName = Annotated[Shell, typer.Argument(help="Whose script to print.", show_default=False)]
Words = Annotated[list[str] | None, typer.Argument(metavar="WORD")]


def completion(shell: ShellName) -> None:
    """Print what makes TAB complete words in a shell."""
    streams.write_text(script(shell))


def script(shell: Shell) -> str:
    """The completion script of a shell."""
    return (_FOLDER / SCRIPTS[shell]).read_text(encoding="utf-8")


def complete(ctx: typer.Context, words: Words = None) -> None:
    """Say how the last of the words may go on: a line each, with a tab before its help."""
    root = ctx.find_root().command
    for value, said in candidates(root, words or [""]):
        streams.write_text(f"{value}\t{said}\n")


def candidates(command: Any, words: Sequence[str]) -> Iterator[tuple[str, str]]:
    """What the last word may become, each with its help; nothing where a file may stand.

    Args:
        command: of Typer, with all below it.
        words: of the command line, without the program's name; the last is being typed.
    """
    *before, last = words
    options = _options(command)
    asking, missing, num_arguments, has_ended = None, 0, 0, False
    for word in before:
        if missing:
            missing -= 1
        elif has_ended or not word.startswith("-") or word == "-":
            below = getattr(command, "commands", None)
            if below is None:
                num_arguments += 1
            elif word in below:
                command = below[word]
                options = _options(command)
            else:
                return
        elif word == "--":
            has_ended = True
        else:
            asking = options.get(word)
            missing = 0 if asking is None or asking.is_flag else asking.nargs
    if missing:
        yield from _values(command, asking, last)
    elif last.startswith("-") and not has_ended:
        name, equals, value = last.partition("=")
        if equals:
            found = _values(command, options.get(name), value)
            yield from ((f"{name}={value}", said) for value, said in found)
        else:
            yield from _names(command, last)
    elif below := getattr(command, "commands", None):
        for name, sub in below.items():
            if name.startswith(last) and not sub.hidden:
                yield name, sub.get_short_help_str(limit=80)
    else:
        yield from _values(command, _argument(command, num_arguments), last)


def _options(command: Any) -> dict[str, Any]:
    """By each of its names."""
    found = (param for param in command.params if param.param_type_name == "option")
    return {name: option for option in found for name in (*option.opts, *option.secondary_opts)}


def _names(command: Any, incomplete: str) -> Iterator[tuple[str, str]]:
    """Of options; short ones only where no long one is begun."""
    for name, option in _options(command).items():
        is_wanted = name.startswith("--") or len(option.opts) == 1
        if name.startswith(incomplete) and is_wanted and not option.hidden:
            yield name, _line(option.help)
    if "--help".startswith(incomplete):
        yield "--help", "Show this message and exit."


def _argument(command: Any, position: int) -> Any:
    for param in command.params:
        if param.param_type_name == "argument":
            if position == 0 or param.nargs == -1:
                return param
            position -= 1
    return None


def _values(command: Any, param: Any, incomplete: str) -> Iterator[tuple[str, str]]:
    """Choices, and what an option's own completion says; files are for the shell."""
    if param is None:
        return
    context = typer.Context(command, resilient_parsing=True)
    for item in param.shell_complete(context, incomplete):
        if item.type == "plain":
            yield item.value, _line(item.help)


def _line(text: str | None) -> str:
    return " ".join((text or "").split())
