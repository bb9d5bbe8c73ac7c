"""The committed completion scripts are current, and their shells can read them."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from helpers.cli import run_cli

FOLDER = Path(__file__).parents[2] / "completions"
SCRIPTS = {"bash": "dit4sr.bash", "zsh": "_dit4sr", "fish": "dit4sr.fish"}


@pytest.mark.parametrize("shell", SCRIPTS)
def test_scripts_are_current(shell):
    done = run_cli(env={"_DIT4SR_COMPLETE": f"source_{shell}"})
    assert done.code == 0
    # zsh wants #compdef on the very first line, before which typer leaves one blank.
    assert (FOLDER / SCRIPTS[shell]).read_bytes() == done.stdout.lstrip()


@pytest.mark.parametrize("shell", [shell for shell in SCRIPTS if shutil.which(shell)])
def test_their_shell_can_read_them(shell):
    subprocess.run([shell, "-n", FOLDER / SCRIPTS[shell]], check=True)


def _complete(words: str) -> list[str]:
    count = len(words.split(" ")) - 1
    variables = {"COMP_WORDS": words, "COMP_CWORD": str(count)}
    done = run_cli(env={"_DIT4SR_COMPLETE": "complete_bash", **variables})
    return done.stdout.decode().split()


def test_what_bash_is_offered():
    assert {"upscale", "models", "doctor"} <= set(_complete("dit4sr "))
    assert _complete("dit4sr upscale --col") == ["--color-fix"]
    assert _complete("dit4sr upscale --color-fix w") == ["wavelet"]
    assert "auto" in _complete("dit4sr upscale --model ")
