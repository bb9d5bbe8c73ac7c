"""Every command and every program on the README and in docs/ is run as it stands there.

A block runs from its first line to its last in a folder of its own, with the real `dit4sr`, nano,
tiny published models, and a hub on localhost. What cannot run so stands in fixtures.py; of that the
options are checked.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fixtures
import pytest
import typer
from helpers import pages, tiny_hub, training_data, warm
from helpers.cli import environment
from helpers.hub import Hub
from helpers.images import psnr
from helpers.pages import REPO, Block
from PIL import Image

from dit4sr_cli.cli.app import app

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

BLOCKS = pages.blocks()
SHELL = [block for block in BLOCKS if block.kind == "sh"]
PYTHON = [block for block in BLOCKS if block.kind == "python"]


@dataclass(frozen=True)
class Place:
    """A prepared folder, copied for each block; and the environment with `dit4sr` on its PATH."""

    template: Path
    homes: Path
    hub: Path
    env: dict[str, str]

    def copy(self, block: Block, folder: Path) -> dict[str, str]:
        """Lay everything out in the block's own folder."""
        shutil.copytree(self.template, folder, dirs_exist_ok=True)
        for name in fixtures.RESULTS.get(block.page, ()):
            shutil.copyfile(self.homes / name, folder / name)
        kind = "pulled" if block.page in fixtures.PULLED else "plain"
        shutil.copytree(self.homes / kind, folder / "home")
        (folder / "hub").symlink_to(self.hub)
        if "prepared" in block.text and "data pairs" not in block.text:  # by a block before
            training_data.prepare(folder / "prepared")
            shutil.copyfile(folder / "recipes" / "paper.toml", folder / "recipe.toml")
        return {**self.env, "DIT4SR_HOME": str(folder / "home")}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    template, made, programs = (
        tmp_path_factory.mktemp(name) for name in ("pages", "made", "programs")
    )
    fixtures.make_files(template)
    repositories = tiny_hub.build(tmp_path_factory.mktemp("hub"))
    with Hub(repositories) as hub:
        hub.tag(tiny_hub.DIT4SR, "v1.0")
        env = environment({**hub.env(), "OMP_WAIT_POLICY": "PASSIVE"})
        with warm.commands(programs, env) as path:
            place = Place(template, made, repositories, {**env, "PATH": path})
            torchrun = programs / "torchrun"  # of this Python, whatever is on the PATH
            torchrun.write_text(f'#!/bin/sh\nexec {sys.executable} -m torch.distributed.run "$@"\n')
            torchrun.chmod(0o755)
            _prepare(place)
            yield place


def _prepare(place: Place) -> None:
    """Two homes, one with a captioner alone, one with models as well; and results."""
    for kind, names in (
        ("plain", "smolvlm"),
        ("pulled", "dit4sr-q sd3.5-medium-transformer smolvlm"),
    ):
        env = {**place.env, "DIT4SR_HOME": str(place.homes / kind)}
        _shell(f"dit4sr models pull {names} --accept-licence", place.template, env)
    for source, result in (("photo.jpg", "photo_x4.png"), ("scan.jpg", "scan_x4.png")):
        env = {**place.env, "DIT4SR_HOME": str(place.homes / "plain")}
        _shell(f"dit4sr upscale {source} -o {place.homes / result}", place.template, env)
    for name in ("out.png", "a.png", "b.png"):
        shutil.copyfile(place.homes / "photo_x4.png", place.homes / name)


def _shell(command: str, folder: Path, env: dict[str, str]) -> None:
    done = _run(command, folder, env)
    if found := re.search(rb"^error: (.*): exists already", done.stderr, re.MULTILINE):
        (folder / found[1].decode()).unlink()  # lines of a block may be alternatives
        done = _run(command, folder, env)
    said = (done.stdout[-2000:] + done.stderr[-4000:]).decode("utf-8", "replace")
    assert done.returncode == 0, f"{command}\ncode {done.returncode}\n{said}"


def _run(command: str, folder: Path, env: dict[str, str]) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        ["bash", "-o", "pipefail", "-c", command],
        cwd=folder,
        env=env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=200,
        check=False,
    )


@pytest.mark.parametrize("block", SHELL, ids=str)
def test_a_block_of_commands_runs(block, place, tmp_path):
    env = place.copy(block, tmp_path)
    for command in block.commands:
        if _reason(command):
            _check_options(command)
            continue
        _shell(fixtures.smaller(command), tmp_path, env)


@pytest.mark.parametrize("block", PYTHON, ids=str)
def test_a_program_runs(block, place, tmp_path):
    env = place.copy(block, tmp_path)
    (tmp_path / "program.py").write_text(fixtures.smaller(block.text), encoding="utf-8")
    _shell("python - < program.py", tmp_path, env)


def _reason(command: str) -> str:
    return next((why for pattern, why in fixtures.NOT_RUN if re.search(pattern, command)), "")


def _check_options(command: str) -> None:
    """Parse a command that is not run, as far as it is ours."""
    for words in pages.words_of(command):
        if "dit4sr_cli" in words:
            words = ["dit4sr", *words[words.index("dit4sr_cli") + 1 :]]
        if words[:2] == ["docker", "run"]:
            words = words[words.index("dit4sr") :]
        if words[0] == "dit4sr":
            _parse(typer.main.get_command(app), words[1:])
        if "install" in words:
            _check_install(words)


def _parse(command: Any, words: list[str], parent: Any = None) -> None:
    """As it would be parsed, down to the last command, without running it."""
    context = command.make_context(command.name, list(words), parent=parent)
    rest = [*context._protected_args, *context.args]
    if rest and hasattr(command, "commands"):
        _parse(command.commands[rest[0]], rest[1:], context)


def _check_install(words: list[str]) -> None:
    extras = tomllib.loads((REPO / "pyproject.toml").read_text())["project"][
        "optional-dependencies"
    ]
    for word in words:
        if found := re.search(r"\[(.*)\]", word):
            assert found[1] in extras, word
        if word.endswith(".txt"):
            assert (REPO / Path(word).name).is_file()


@pytest.mark.parametrize(("page", "words"), list(pages.commands_in_text()), ids=str)
def test_commands_in_the_text_exist(page, words):
    command: Any = typer.main.get_command(app)
    for word in words:
        if word.startswith("--"):
            names = word.partition("=")[0].split("/")
            assert set(names) <= _options(command), f"{page}: {word}"
        elif hasattr(command, "commands") and word.islower():
            assert word in command.commands, f"{page}: dit4sr {' '.join(words)}"
            command = command.commands[word]


def _options(command: Any) -> set[str]:
    """Of a command; of a group also those of its commands, one of which may be left out."""
    commands = [command, *getattr(command, "commands", {}).values()]
    options = {
        name for one in commands for p in one.params for name in (*p.opts, *p.secondary_opts)
    }
    return options | {"--help"}


@pytest.mark.parametrize("pattern", [p for p, _ in (*fixtures.NOT_RUN, *fixtures.SMALLER)])
def test_exceptions_are_still_needed(pattern):
    commands = [command for block in SHELL for command in block.commands]
    seen = [*commands, *map(fixtures.smaller, commands), *(block.text for block in PYTHON)]
    assert any(re.search(pattern, command) for command in seen)


@pytest.mark.parametrize("path", pages.PAGES, ids=lambda path: path.name)
def test_links_lead_somewhere(path):
    text = path.read_text(encoding="utf-8")
    for target, anchor in re.findall(r"\]\((?!https?:)([^)#\s]*)#?([^)\s]*)\)", text):
        file = (path.parent / target) if target else path
        assert file.exists(), target
        if anchor and file.suffix == ".md":
            assert anchor in _anchors(file), f"{target}#{anchor}"


def test_the_index_names_every_page():
    index = (REPO / "docs" / "README.md").read_text(encoding="utf-8")
    named = set(re.findall(r"\]\(([\w-]+\.md)\)", index))
    assert {path.name for path in (REPO / "docs").glob("*.md")} - {"README.md"} <= named


def _anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_the_readmes_picture_is_what_nano_makes(place, tmp_path):
    made, tool = tmp_path / "made.png", REPO / "tools" / "readme_pictures.py"
    _shell(f"{sys.executable} {tool} -o {made}", REPO, place.env)
    with Image.open(made) as new, Image.open(REPO / "docs/images/before-after.png") as shown:
        assert new.size == shown.size
        assert psnr(new, shown) > 50


def test_a_command_that_nobody_knows_would_fail(place, tmp_path):
    block = Block("README", 1, "sh", "dit4sr enlarge photo.jpg\n")
    env = place.copy(block, tmp_path)
    with pytest.raises(AssertionError, match="enlarge"):
        _shell(block.commands[0], tmp_path, env)
