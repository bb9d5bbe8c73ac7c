"""`dit4sr doctor`: what this machine has to offer, for a person or for a bug report."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dit4sr_cli.cli import options
from dit4sr_cli.cli.console import console, one_line
from dit4sr_cli.core.words import as_size

_SYSTEM_WIDE = {
    "bash": "share/bash-completion/completions/dit4sr",
    "zsh": "share/zsh/site-functions/_dit4sr",
    "fish": "share/fish/vendor_completions.d/dit4sr.fish",
}


def doctor(
    quiet: options.Quiet = False, verbose: options.Verbose = False, json: options.Json = False
) -> None:
    """Show versions, device, memory, folders and what would run."""
    from dit4sr_cli.jobs.machine import examine

    console.open(quiet=quiet, verbose=verbose, as_json=json)
    record = {**examine(), "completion": _completion()}
    console.result("\n".join(_lines(record)), {"command": "doctor", **record})


def _completion() -> dict[str, str | None]:
    """Of the shells that are here: where the script is, or None."""
    found: dict[str, str | None] = {}
    for shell, place in _SYSTEM_WIDE.items():
        if shutil.which(shell):
            shared = (Path(root) / place for root in ("/usr", "/usr/local"))
            there = (str(path) for path in (*_own_places(shell), *shared) if path.exists())
            found[shell] = next(there, None)
    return found


def _own_places(shell: str) -> tuple[Path, ...]:
    """Where completions/README.md puts it; nowhere for a user who has no home."""
    try:
        home = Path.home()
    except RuntimeError:
        return ()
    data = Path(os.environ.get("XDG_DATA_HOME") or home / ".local" / "share")
    config = Path(os.environ.get("XDG_CONFIG_HOME") or home / ".config")
    return {
        "bash": (data / "bash-completion/completions/dit4sr", home / ".dit4sr.bash"),
        "zsh": (home / ".zfunc/_dit4sr",),
        "fish": (config / "fish/completions/dit4sr.fish",),
    }[shell]


def _lines(record: dict[str, dict[str, Any]]) -> Iterator[str]:
    """Of a narrow terminal, too: name and value, indented under what they are about."""
    for group, facts in record.items():
        shown = {"run": _run, "extras": _extras, "folders": _folders}.get(group, _plain)
        yield f"{group}:"
        yield from (f"  {one_line(line)}" for line in shown(facts))


def _plain(facts: dict[str, Any]) -> Iterator[str]:
    for name, value in facts.items():
        text = ", ".join(value) if isinstance(value, list) else "none" if value is None else value
        yield f"{name} {text}"
    if not facts:
        yield "nothing"


def _folders(facts: dict[str, Any]) -> Iterator[str]:
    for name, folder in facts.items():
        yield f"{name} {folder['path']} ({as_size(folder['bytes'])})"
        if "problem" in folder:
            yield f"  problem: {folder['problem']}"


def _run(facts: dict[str, Any]) -> Iterator[str]:
    from dit4sr_cli.core.words import as_time

    if "problem" in facts:
        yield f"problem: {facts['problem']}"
        return
    yield f"model {facts['model']}, {facts['device']}, {facts['dtype']}"
    yield f"steps {facts['steps']}, guidance {facts['guidance']:g}"
    yield f"tile {facts['tile']}, overlap {facts['overlap']}"
    sizes = "{}x{} -> {}x{}".format(*facts["photo"], *facts["result"])
    yield f"1 megapixel {sizes}, {facts['tiles']} tiles"
    taken = f"{as_time(facts['seconds'])} ({facts['seconds_are']})"
    yield f"takes about {taken}, {as_size(facts['memory_bytes'])} of memory"


def _extras(facts: dict[str, Any]) -> Iterator[str]:
    for name, extra in facts.items():
        if name == "problem":
            yield f"problem: {extra}"
        elif extra["installed"]:
            yield f"{name} installed"
        else:
            yield f"{name} lacks {', '.join(extra['missing'])}: pip install 'dit4sr[{name}]'"
