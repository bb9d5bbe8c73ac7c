"""`dit4sr help`: topics are pages of docs/, as plain text that fits the terminal."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.cli import run_cli

from dit4sr_cli.cli.help import _SECTIONS, topics

REPO = Path(__file__).parents[2]
ASKED_FOR = "exit-codes metadata prompts presets models pipes memory environment fidelity record"


def test_every_topic_is_listed_with_its_title():
    shown = run_cli("help").stdout.decode()
    assert {*ASKED_FOR.split(), *_SECTIONS} <= set(topics())
    for topic in topics().values():
        assert f"  {topic.name} " in shown
        assert topic.title in shown


@pytest.mark.parametrize("columns", [40, 80, 200])
def test_a_page_fits_the_terminal(columns):
    done = run_cli("help", "exit-codes", env={"COLUMNS": str(columns)})
    lines = done.stdout.decode().splitlines()
    assert max(map(len, lines)) <= min(columns, 100)
    assert any("interrupted" in line for line in lines)
    assert not any(mark in done.stdout.decode() for mark in ("\x1b", "](", "| --", "**"))


def test_a_part_of_a_page_ends_with_its_part():
    shown = run_cli("help", "prompts").stdout.decode()
    assert "--prompt-file" in shown
    assert "--low-memory" not in shown  # of the part that follows


def test_help_of_a_command_is_its_own():
    assert run_cli("help", "models", "pull").stdout == run_cli("models", "pull", "--help").stdout
    assert run_cli("help", "upscale").stdout == run_cli("upscale", "--help").stdout


@pytest.mark.parametrize(("asked", "meant"), [("exit-code", "exit-codes"), ("upscal", "upscale")])
def test_an_unknown_topic_suggests_a_near_one(asked, meant):
    done = run_cli("help", asked)
    assert done.code == 2
    assert done.lines == [f"error: {asked}: no such topic (did you mean {meant}?)"]


@pytest.mark.parametrize("encoding", ["ascii", "cp437", "cp1252"])
def test_pages_are_shown_in_any_encoding(encoding):
    for topic in ("architecture", "performance"):  # with arrows and boxes
        done = run_cli("help", topic, env={"PYTHONIOENCODING": encoding})
        assert (done.code, done.stderr) == (0, "")


@pytest.mark.skipif(not shutil.which("mandoc"), reason="no mandoc")
def test_the_manual_page_is_well_formed():
    check = ["mandoc", "-T", "lint", "-W", "warning", REPO / "man" / "dit4sr.1"]
    done = subprocess.run(check, capture_output=True, text=True, check=False)
    said = [line for line in done.stdout.splitlines() if "missing date" not in line]  # it has none
    assert said == []


def test_generated_files_can_be_made_again(tmp_path):
    """The tool runs, and finds what was changed by hand; CI runs it on the committed files."""
    shutil.copytree(REPO / "tools", tmp_path / "tools")
    tool = [sys.executable, tmp_path / "tools" / "gen_docs.py"]
    env = {**os.environ, "PYTHONPATH": str(REPO)}
    subprocess.run(tool, env=env, check=True)
    subprocess.run([*tool, "--check"], env=env, check=True)
    (tmp_path / "completions" / "dit4sr.bash").write_text("by hand")
    done = subprocess.run([*tool, "--check"], env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "completions/dit4sr.bash is stale" in done.stderr
