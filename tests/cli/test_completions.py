"""What TAB offers: from the commands themselves, and in the real shells."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from helpers.cli import run_cli
from helpers.shells import Terminal

FOLDER = Path(__file__).parents[2] / "completions"
SCRIPTS = {"bash": "dit4sr.bash", "zsh": "_dit4sr", "fish": "dit4sr.fish"}
SHELLS = [
    pytest.param(name, marks=pytest.mark.skipif(not shutil.which(name), reason=f"no {name}"))
    for name in SCRIPTS
]
LOAD = {
    "bash": f"source '{FOLDER}/dit4sr.bash'",
    # As a user has it: the function is found in fpath, and loaded at the first TAB.
    "zsh": f"fpath=('{FOLDER}' $fpath); autoload -Uz compinit; compinit -u -D",
    "fish": f"source '{FOLDER}/dit4sr.fish'",
}


@pytest.fixture
def offered(tmp_path):
    """What is offered after words, in a home with a model in each place."""
    home = tmp_path / "home"
    (home / "config").mkdir(parents=True)
    (home / "config" / "models.toml").write_text('[models.of-toml]\nfolder = "/nowhere"\n')
    (home / "models" / "by-hand" / "transformer").mkdir(parents=True)
    (home / "models" / "by-hand" / "transformer" / "config.json").write_text("{}")

    def ask(*words: str) -> list[str]:
        done = run_cli("complete", "--", *words, env={"DIT4SR_HOME": str(home)})
        assert (done.code, done.stderr) == (0, "")
        return [line.split("\t")[0] for line in done.stdout.decode().splitlines()]

    return ask


@pytest.mark.parametrize("shell", SCRIPTS)
def test_scripts_are_current(shell):
    done = run_cli("completion", shell)
    assert done.code == 0
    assert (FOLDER / SCRIPTS[shell]).read_bytes() == done.stdout


@pytest.mark.parametrize("shell", SHELLS)
def test_their_shell_can_read_them(shell):
    subprocess.run([shell, "-n", FOLDER / SCRIPTS[shell]], check=True)


def test_commands_are_offered(offered):
    commands = offered("")
    assert {"upscale", "models", "data", "study", "doctor"} <= set(commands)
    assert "complete" not in commands
    assert {"list", "pull"} <= set(offered("models", ""))
    assert offered("upsc") == ["upscale"]
    assert offered("no-such-command", "") == []


def test_options_are_offered(offered):
    assert offered("upscale", "--col") == ["--color-fix"]
    assert offered("upscale", "photo.jpg", "--color-fix", "none", "--mo") == ["--model"]
    assert {"--t5", "--no-t5"} <= set(offered("models", "pull", "-"))
    assert offered("--ver") == ["--version"]
    assert offered("upscale", "--", "--col") == []  # a file of that name


def test_models_of_every_origin_are_offered(offered):
    names = {"auto", "nano", "dit4sr-q", "dit4sr-f", "dit4sr-r1", "of-toml", "by-hand"}
    assert set(offered("upscale", "--model", "")) == names
    assert offered("upscale", "--model=na") == ["--model=nano"]
    assert "sd3.5-medium" in offered("models", "pull", "dit4sr-q", "sd")
    assert offered("caption", "--captioner", "smol") == ["smolvlm"]


def test_choices_are_offered(offered):
    assert offered("upscale", "--preset", "") == ["draft", "balanced", "best"]
    assert offered("batch", "in", "--color-fix", "w") == ["wavelet"]
    assert offered("upscale", "--format", "t") == ["tiff"]
    assert offered("train", "nano") == ["nano", "nano-begin", "nano-finish", "nano-draw"]


def test_where_files_stand_nothing_is_offered(offered):
    assert offered("upscale", "") == []
    assert offered("upscale", "photo.jpg", "-o", "") == []
    assert offered("eval", "--outputs", "mine=fol") == []
    assert offered("upscale", "--model", "./weights") == []


def test_a_broken_models_toml_is_no_matter(tmp_path):
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "models.toml").write_text("[[[")
    done = run_cli("complete", "--", "upscale", "--model", "", env={"DIT4SR_HOME": str(tmp_path)})
    assert done.stdout.decode().split() == ["auto", "nano"]
    assert done.stderr == ""


@pytest.fixture(params=SHELLS)
def terminal(request, tmp_path):
    """Each shell with its completion loaded, in a folder with a picture."""
    (tmp_path / "holiday in June.jpg").touch()
    (tmp_path / "scans").mkdir()
    with Terminal(request.param, tmp_path, tmp_path / "bin") as shell:
        shell.run(LOAD[request.param])
        yield shell


def test_tab_in_the_real_shell(terminal):
    def tab(keys: str, becomes: str) -> None:
        terminal.type(f"{keys}\t\r", until=becomes)

    tab("dit4sr upsc", "<upscale>")  # the very first TAB
    tab("dit4sr upscale --col", "<upscale><--color-fix>")
    tab("dit4sr upscale --model dit4sr-r", "<--model><dit4sr-r1>")
    tab("dit4sr upscale --model=dit4sr-r", "<--model=dit4sr-r1>")
    tab("dit4sr upscale x.png --preset bal", "<--preset><balanced>")
    tab("dit4sr upscale holi", "<upscale><holiday in June.jpg>")
    tab("dit4sr upscale 'holiday in June.jpg' --color-fix w", "<--color-fix><wavelet>")
    tab("dit4sr upscale x.png -o sca", "<-o><scans")  # zsh takes the slash back
    tab("true | dit4sr models pu", "<models><pull>")


def test_an_answer_is_quick():
    """CPU seconds, the least of three: a person waits for it."""

    def cpu_seconds() -> float:
        before = os.times()
        run_cli("complete", "--", "upscale", "--model", "")
        after = os.times()
        used = after.children_user + after.children_system
        return used - before.children_user - before.children_system

    assert min(cpu_seconds() for _ in range(3)) < 0.45
