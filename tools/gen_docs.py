"""Writes what is made from the commands: completions/ and man/; `--check` only compares.

python tools/gen_docs.py [--check]
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer
from man_page import man_page

from dit4sr_cli import __version__
from dit4sr_cli.cli.app import app
from dit4sr_cli.cli.complete import SCRIPTS, Shell, script
from dit4sr_cli.cli.help import topics

ROOT = Path(__file__).parents[1]


def files() -> Iterator[tuple[Path, str]]:
    """All that is generated, with where it goes."""
    for shell in Shell:
        yield ROOT / "completions" / SCRIPTS[shell], script(shell)
    command: Any = typer.main.get_command(app)
    pages = {name: topic.title for name, topic in topics().items()}
    yield ROOT / "man" / "dit4sr.1", man_page(command, __version__, pages)


def main(arguments: list[str]) -> int:
    """Write, or with --check say what is stale; 1 if something is."""
    stale = [(path, text) for path, text in files() if _read(path) != text]
    if "--check" in arguments:
        for path, _ in stale:
            print(f"{path.relative_to(ROOT)} is stale: python tools/gen_docs.py", file=sys.stderr)  # noqa: T201
        return int(bool(stale))
    for path, text in stale:
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8", newline="\n")
    return 0


def _read(path: Path) -> str | None:
    return path.read_text(encoding="utf-8") if path.exists() else None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
