"""Options that commands share: there to see, handed over, and said anew where a command wants."""

import inspect
from typing import Annotated

import pytest
import typer
from helpers import images
from helpers.cli import run_cli
from typer.testing import CliRunner

from dit4sr_cli.cli.app import app
from dit4sr_cli.cli.groups import Given, enlarging, has, pulling, writing

RUNNER = CliRunner()


def _size(width: Annotated[int, typer.Option(help="Across.")] = 3, deep: bool = False) -> None:
    """A group."""


def _app(command) -> typer.Typer:
    made = typer.Typer()
    made.command()(command)
    return made


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], {"name": "x", "width": 3, "deep": False}),
        (["--width", "7", "--deep", "--name", "y"], {"name": "y", "width": 7, "deep": True}),
    ],
)
def test_a_command_gets_all_by_name(words, expected):
    @has(_size)
    def command(*, given: Given, name: str = "x") -> None:
        assert given == expected
        assert name == expected["name"]
        typer.echo("seen")

    done = RUNNER.invoke(_app(command), words)
    assert (done.exit_code, done.output) == (0, "seen\n"), done.output


def test_what_a_command_says_itself_goes_first():
    @has(_size)
    def command(width: str = "wide", *, given: Given) -> None:
        typer.echo(f"{width} {given}")

    done = RUNNER.invoke(_app(command), ["--width", "narrow"])
    assert done.output == "narrow {'width': 'narrow', 'deep': False}\n"


def test_groups_stand_where_the_command_has_them():
    @has(_size)
    def command(first: int = 0, *, given: Given, last: int = 1) -> None: ...

    assert list(inspect.signature(command).parameters) == ["first", "width", "deep", "last"]


@pytest.mark.parametrize(
    ("name", "groups"),
    [
        ("upscale", (enlarging, pulling, writing)),
        ("batch", (enlarging, pulling, writing)),
        ("watch", (enlarging, writing)),
        ("plan", (enlarging, writing)),
        ("preview", (enlarging, pulling)),
    ],
)
def test_commands_have_the_groups(name, groups):
    command = typer.main.get_command(app).commands[name]
    expected = {name for group in groups for name in inspect.signature(group).parameters}
    assert expected <= {parameter.name for parameter in command.params}


def test_plan_understands_what_batch_is_told(tmp_path):
    (tmp_path / "scans").mkdir()
    images.save(tmp_path / "scans" / "a.png", 40, 30)
    words = ["scans", "-o", "out", "--seed", "3", "--quality", "80", "--no-record", "--shift", "2"]
    planned = run_cli("plan", *words, cwd=tmp_path)
    foretold = run_cli("batch", *words, "--dry-run", cwd=tmp_path)
    assert (planned.code, foretold.code) == (0, 0), planned.stderr + foretold.stderr
    assert planned.stdout == foretold.stdout
    refused = run_cli("plan", *words, "--low-memory", "--quantize", "int8", cwd=tmp_path)
    assert refused.code == 2
    assert "exclude each other" in refused.stderr
