"""stdout is data, stderr is talk: pipelines, chatty libraries, closed pipes, terminals, colours."""

from __future__ import annotations

import os
import pty
import subprocess

import pytest
from helpers import images
from helpers.cli import command, environment, run_cli

from dit4sr_cli.core.errors import ExitCode


def run_shell(script: str, cwd) -> subprocess.CompletedProcess:
    """Run a bash script in which DIT4SR stands for the command."""
    dit4sr = " ".join(command(faults=["fake_model"]))
    return subprocess.run(
        ["bash", "-o", "pipefail", "-c", script.replace("DIT4SR", dit4sr)],
        capture_output=True,
        text=True,
        cwd=cwd,
        env=environment(),
        stdin=subprocess.DEVNULL,
        check=False,
    )


def test_pipeline(tmp_path, photo):
    done = run_shell("cat photo.jpg | DIT4SR upscale - -o - > b.png", tmp_path)
    assert done.returncode == 0, done.stderr
    assert images.size_of(tmp_path / "b.png") == (96, 64)
    assert "stdin" not in done.stdout


def test_stdin_without_output_goes_to_a_pipe_in_the_format_of_the_input(photo):
    done = run_cli("upscale", "-", input=photo.read_bytes(), faults=["fake_model"])
    assert done.code == 0, done.stderr
    assert done.stdout.startswith(b"\xff\xd8\xff")
    assert images.size_of(done.stdout) == (96, 64)


def test_format_decides_on_stdout(photo):
    done = run_cli("upscale", photo, "-o", "-", "--format", "png", faults=["fake_model"])
    assert done.stdout.startswith(b"\x89PNG")


def test_stdin_to_a_file(tmp_path, photo):
    out = tmp_path / "out.png"
    done = run_cli("upscale", "-", "-o", out, input=photo.read_bytes(), faults=["fake_model"])
    assert done.code == 0, done.stderr
    assert images.size_of(out) == (96, 64)


def test_named_pipes_and_dev_stdout(tmp_path, photo):
    script = "DIT4SR upscale <(cat photo.jpg) -o /dev/stdout > b.jpg"
    done = run_shell(script, tmp_path)
    assert done.returncode == 0, done.stderr
    assert images.size_of(tmp_path / "b.jpg") == (96, 64)


@pytest.mark.parametrize("output", ["-", None])
def test_a_chatty_library_does_not_spoil_the_picture(photo, output):
    args = ["-o", output] if output else []
    done = run_cli(
        "upscale", "-", *args, input=photo.read_bytes(), faults=["fake_model", "pollute"]
    )
    assert done.code == 0, done.stderr
    assert b"CHATTER" not in done.stdout
    assert done.stderr.count("CHATTER") == 4
    assert images.size_of(done.stdout) == (96, 64)


def test_a_closed_pipe_is_quiet(photo):
    process = subprocess.Popen(
        command("upscale", photo, "-o", "-", "--scale", "8", faults=["fake_model"]),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(),
    )
    process.stdout.close()
    stderr = process.stderr.read().decode()
    assert process.wait() == ExitCode.BROKEN_PIPE
    assert [line for line in stderr.splitlines() if not line.startswith("note:")] == []


@pytest.mark.parametrize("args", [["--help"], ["models", "path"], ["--version"]])
def test_a_closed_pipe_is_quiet_for_text_too(args):
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        command(*args), stdout=write, stderr=subprocess.PIPE, env=environment(), check=False
    )
    os.close(write)
    assert (done.returncode, done.stderr) == (ExitCode.BROKEN_PIPE, b"")


def test_a_closed_stderr_does_not_stop_the_work(tmp_path, photo):
    out = tmp_path / "out.png"
    read, write = os.pipe()
    os.close(read)
    argv = command("upscale", photo, "-o", out, faults=["fake_model"])
    done = subprocess.run(argv, stderr=write, env=environment(), check=False)
    os.close(write)
    assert done.returncode == 0
    assert images.size_of(out) == (96, 64)


def test_all_streams_closed(tmp_path, photo):
    done = run_shell("DIT4SR upscale photo.jpg -o out.png <&- >&- 2>&-", tmp_path)
    assert done.returncode == 0
    assert images.size_of(tmp_path / "out.png") == (96, 64)


@pytest.mark.parametrize("args", [["photo.jpg", "-o", "-"], ["-"], ["-", "-o", "-"]])
def test_a_picture_is_not_written_to_a_terminal(args, tmp_path, photo):
    parent, child = pty.openpty()
    done = subprocess.run(
        command("upscale", *args),
        stdin=photo.open("rb"),
        stdout=child,
        stderr=subprocess.PIPE,
        env=environment(),
        cwd=tmp_path,
        check=False,
    )
    os.close(parent), os.close(child)
    assert done.returncode == ExitCode.USAGE
    assert done.stderr.startswith(b"error: a picture is not written to a terminal")


def test_a_terminal_is_no_picture(tmp_path):
    parent, child = pty.openpty()
    done = subprocess.run(
        command("upscale", "-", "-o", tmp_path / "a.png"),
        stdin=child,
        capture_output=True,
        env=environment(),
        check=False,
    )
    os.close(parent), os.close(child)
    assert done.returncode == ExitCode.USAGE
    assert b"standard input" in done.stderr


def test_summary_is_one_line_on_stderr(tmp_path, photo):
    out = tmp_path / "a-long-folder-name" / ("long-name-" * 12 + ".png")
    out.parent.mkdir()
    done = run_cli(
        "upscale", photo, "-o", out, "--model", "nano", faults=["fake_model"], env={"COLUMNS": "20"}
    )
    (line,) = done.lines
    assert line.startswith(f"{photo} 24x16 -> {out} 96x64, nano, 1 step, ")
    assert line.endswith(" s")
    assert done.stdout == b""


def test_embedded_model_is_named_in_one_line(tmp_path, photo):
    done = run_cli("upscale", photo, "-o", tmp_path / "1.png", faults=["fake_model"])
    note, _summary = done.lines
    assert "nano" in note
    assert "--model FOLDER" in note
    asked = run_cli(
        "upscale", photo, "-o", tmp_path / "2.png", "--model", "nano", faults=["fake_model"]
    )
    assert len(asked.lines) == 1


def test_ignored_settings_warn(tmp_path, photo):
    args = ["upscale", photo, "-o", tmp_path / "o.png", "--prompt", "a cat", "--model", "nano"]
    done = run_cli(*args, faults=["fake_model"])
    assert done.lines[0] == "warning: nano reads no prompt: --prompt is ignored"


def test_quiet_says_nothing_but_errors(tmp_path, photo):
    args = ["upscale", photo, "-o", tmp_path / "o.png", "--prompt", "a cat", "-q"]
    assert run_cli(*args, faults=["fake_model"]).stderr == ""
    failed = run_cli(*args, faults=["fake_model"])  # it exists by now
    assert failed.stderr.startswith("error: ")


def test_verbose_says_more(tmp_path, photo):
    args = ["upscale", photo, "-o", tmp_path / "o.png", "--overwrite"]
    faults = ["fake_model", "wordy"]
    assert "2 tiles of 128" not in run_cli(*args, faults=faults).stderr
    assert "2 tiles of 128" in run_cli(*args, "-v", faults=faults).lines


def test_no_colour_and_no_progress_in_a_pipe(tmp_path, photo):
    done = run_cli(
        "upscale", photo, "-o", tmp_path / "o.png", "--prompt", "x", faults=["fake_model"]
    )
    assert "\x1b" not in done.stderr
    assert "\r" not in done.stderr
    assert "%" not in done.stderr
