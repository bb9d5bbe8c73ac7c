"""Help, version and completion import nothing heavy, and are quick."""

from __future__ import annotations

import os
import subprocess

import pytest
from helpers.cli import command, environment, run_cli

HEAVY = {"torch", "numpy", "PIL", "pyvips", "diffusers", "transformers", "rich", "tqdm", "piexif"}
HEAVY |= {"nicegui", "fastapi", "starlette", "uvicorn"}
LIGHT_RUNS = {
    "--help": ["--help"],
    "--version": ["--version"],
    "nothing": [],
    "upscale --help": ["upscale", "--help"],
    "models --help": ["models", "--help"],
    "models list": ["models", "list"],
    "models info": ["models", "info", "dit4sr-q"],
    "caption --help": ["caption", "--help"],
    "preview --help": ["preview", "--help"],
    "batch --help": ["batch", "--help"],
    "plan --help": ["plan", "--help"],
    "watch --help": ["watch", "--help"],
    "ui --help": ["ui", "--help"],
    "info --help": ["info", "--help"],
    "check --help": ["check", "--help"],
    "compare --help": ["compare", "--help"],
    "doctor --help": ["doctor", "--help"],
    "bench --help": ["bench", "--help"],
    "eval --help": ["eval", "--help"],
    "study page --help": ["study", "page", "--help"],
    "study tally --help": ["study", "tally", "--help"],
    "inspect attention --help": ["inspect", "attention", "--help"],
    "train --help": ["train", "--help"],
    "data photos --help": ["data", "photos", "--help"],
    "data pairs --help": ["data", "pairs", "--help"],
    "help": ["help"],
    "completion": ["completion", "fish"],
    "wrong option": ["upscale", "a.jpg", "--no-such-option"],
    "missing file": ["upscale", "no-such-file.jpg"],
}


def _imported(stderr: str) -> set[str]:
    (line,) = (line for line in stderr.splitlines() if line.startswith("IMPORTED "))
    return {name.split(".")[0] for name in line.split()[1:]}


@pytest.mark.parametrize("args", LIGHT_RUNS.values(), ids=LIGHT_RUNS.keys())
def test_nothing_heavy_is_imported(args, tmp_path):
    done = run_cli(*args, faults=["list_imports"], cwd=tmp_path)
    assert not _imported(done.stderr) & HEAVY


def test_completion_imports_nothing_heavy(tmp_path):
    for words in (["upscale", "--mo"], ["upscale", "--model", ""], ["models", "pull", ""]):
        done = run_cli("complete", "--", *words, faults=["list_imports"])
        assert done.stdout
        assert not _imported(done.stderr) & HEAVY


def test_the_package_itself_imports_nothing_heavy():
    code = "import dit4sr_cli, sys; print(sorted(dit4sr_cli.__all__)); print(*sys.modules)"
    argv = [command()[0], "-c", code]
    done = subprocess.run(argv, capture_output=True, text=True, env=environment(), check=True)
    assert not {name.split(".")[0] for name in done.stdout.split()} & HEAVY


@pytest.mark.parametrize(
    ("args", "limit"), [(["--help"], 0.5), (["--version"], 0.5), (["upscale", "--help"], 0.8)]
)
def test_help_is_quick(args, limit):
    def cpu_seconds() -> float:
        before = os.times()
        run_cli(*args)
        after = os.times()
        used = after.children_user + after.children_system
        return used - before.children_user - before.children_system

    assert min(cpu_seconds() for _ in range(3)) < limit
