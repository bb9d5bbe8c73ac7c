"""`dit4sr help`: the pages of docs/ in the terminal, and the help of any command."""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from dit4sr_cli.cli import streams
from dit4sr_cli.cli.console import wants_colour
from dit4sr_cli.core.errors import UsageError
from dit4sr_cli.core.words import did_you_mean

_WIDEST, _NARROWEST = 100, 20
_SECTIONS = {
    "prompts": ("models", "Prompts"),
    "memory": ("models", "Memory"),
    "models.toml": ("models", "A folder of yours"),
    "presets": ("performance", "Presets"),
    "shortcuts": ("performance", "Shortcuts"),
    "patterns": ("cli", "Names and patterns"),
    "cluster": ("cli", "Several machines"),
    "doctor": ("cli", "dit4sr doctor"),
}
"""Topics that are a part of a page: the page, and how its heading begins."""


@dataclass(frozen=True, slots=True)
class Topic:
    """A page, or a part of one; in Markdown."""

    name: str
    title: str
    text: str


def complete_topic(incomplete: str) -> list[str]:
    """Topics, for shell completion."""
    return [name for name in topics() if name.startswith(incomplete)]


TopicName = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="TOPIC|COMMAND",
        help="What to read about. [default: the list of topics]",
        autocompletion=complete_topic,
    ),
]


def help(ctx: typer.Context, topic: TopicName = None) -> None:
    """Read about a topic or a command. Without one: which there are."""
    known = topics()
    if not topic:
        streams.write_text(_contents(known))
    elif len(topic) == 1 and topic[0] in known:
        streams.write_text(_as_shown(known[topic[0]].text))
    elif command := _command(ctx.find_root(), topic):
        streams.write_text(f"{command.get_help()}\n")
    else:
        name = " ".join(topic)
        hint = did_you_mean(name, [*known, *_commands(ctx.find_root())])
        raise UsageError(f"{name}: no such topic", hint=hint or "`dit4sr help` lists them")


def topics() -> dict[str, Topic]:
    """All of them by name, pages first."""
    pages = {path.stem: path.read_text(encoding="utf-8") for path in _pages()}
    pages.pop("README", None)  # links to the others
    found = {name: Topic(name, _title(text), text) for name, text in pages.items()}
    for name, (page, heading) in _SECTIONS.items():
        if part := _section(pages.get(page, ""), heading):
            found[name] = Topic(name, _title(part), part)
    return found


def _pages() -> list[Path]:
    """In the wheel they are within the package, in a clone beside it."""
    package = Path(__file__).resolve().parents[1]
    return sorted((package / "docs").glob("*.md")) or sorted((package.parent / "docs").glob("*.md"))


def _section(page: str, heading: str) -> str:
    """From a heading to the next one that is not below it."""
    found = re.search(rf"^(#+) {re.escape(heading)}.*?(?=^#{{1,2}} |\Z)", page, re.M | re.S)
    return found[0] if found else ""


def _title(text: str) -> str:
    return text.partition("\n")[0].lstrip("# ")


def _contents(known: dict[str, Topic]) -> str:
    width = max(map(len, known))
    lines = (f"  {topic.name:<{width}}  {topic.title}\n" for topic in known.values())
    return (
        f"Topics, for `dit4sr help TOPIC`:\n\n{''.join(lines)}\n"
        "Of a command: `dit4sr COMMAND --help`.\n"
    )


def _commands(root: Any) -> list[str]:
    return [name for name, command in root.command.commands.items() if not command.hidden]


def _command(context: Any, words: list[str]) -> Any:
    """The context of a command, for its help; None if there is none of this name."""
    for word in words:
        command = getattr(context.command, "commands", {}).get(word)
        if command is None:
            return None
        context = typer.Context(command, info_name=word, parent=context)
    return context


def _as_shown(text: str) -> str:
    """Markdown as plain text of the terminal's width; with bold and colours where they can be."""
    from rich.console import Console
    from rich.markdown import Markdown

    has_colours = wants_colour() and streams.is_stdout_terminal()
    page = Console(
        width=max(_NARROWEST, min(_WIDEST, shutil.get_terminal_size().columns)),
        force_terminal=has_colours,
        color_system="auto" if has_colours else None,
        no_color=not has_colours,
        legacy_windows=False,
    )
    text = re.sub(r"\[([^\]]+)\]\((?!https?:)[^)]*\)", r"\1", text)  # to other pages
    with page.capture() as captured:
        page.print(Markdown(text, hyperlinks=False, code_theme="ansi_light"))
    shown = "".join(f"{line.rstrip()}\n" for line in captured.get().splitlines())
    return re.sub(r"\n{3,}", "\n\n", shown)
