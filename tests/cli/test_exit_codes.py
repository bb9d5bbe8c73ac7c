"""Every expected failure: one line on stderr, nothing on stdout, the documented code, no file."""

from __future__ import annotations

import re
import resource
import subprocess
from pathlib import Path

import pytest
from helpers import images
from helpers.cli import command, environment, run_cli

from dit4sr_cli.core.errors import ExitCode

DOCS = Path(__file__).parents[2] / "docs" / "exit-codes.md"


def assert_refused(done, code: ExitCode, *words: str) -> None:
    assert done.code == code, done.stderr
    (line,) = (line for line in done.lines if not line.startswith("note:"))
    assert line.startswith("error: ")
    for word in words:
        assert word in line
    assert done.stdout == b""


def others(folder: Path, *known: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir() if p not in known)


def test_documented_codes_are_those_of_the_code():
    rows = re.findall(r"^\| (\d+) \|", DOCS.read_text(), re.MULTILINE)
    own = {int(code) for code in ExitCode}
    assert {int(code) for code in rows} == own | {129, 143}


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("missing.jpg", None, ["missing.jpg"]),
        ("empty.jpg", b"", ["empty.jpg"]),
        ("text.jpg", b"this is not a picture\n" * 50, ["text.jpg"]),
        ("truncated.jpg", images.jpeg_bytes(200, 200)[:3000], ["truncated.jpg"]),
        ("header.jpg", images.jpeg_bytes(200, 200)[:100], ["header.jpg"]),
    ],
)
def test_bad_pictures(tmp_path, name, content, words):
    source = tmp_path / name
    if content is not None:
        source.write_bytes(content)
    done = run_cli("upscale", source, "-o", tmp_path / "out.png", faults=["fake_model"])
    assert_refused(done, ExitCode.INPUT, *words)
    assert others(tmp_path, source) == []


def test_bad_picture_on_stdin():
    done = run_cli("upscale", "-", "-o", "-", input=b"no picture", faults=["fake_model"])
    assert_refused(done, ExitCode.INPUT, "stdin")


def test_nothing_on_stdin():
    done = run_cli("upscale", "-", "-o", "-", input=b"", faults=["fake_model"])
    assert_refused(done, ExitCode.INPUT, "stdin")


def test_endless_stdin(tmp_path):
    big = bytes(5000)
    done = run_cli("upscale", "-", "-o", tmp_path / "a.png", input=big, faults=["two_gib_is_tiny"])
    assert_refused(done, ExitCode.INPUT, "stdin")


def test_a_folder_is_no_picture(tmp_path):
    assert_refused(run_cli("upscale", tmp_path), ExitCode.INPUT, str(tmp_path), "folder")


def test_a_loop_of_links_is_no_picture(tmp_path):
    loop = tmp_path / "loop.jpg"
    loop.symlink_to(loop)
    assert_refused(run_cli("upscale", loop), ExitCode.INPUT, "loop.jpg")


def test_a_name_that_is_too_long(tmp_path):
    assert_refused(run_cli("upscale", tmp_path / ("a" * 300 + ".jpg")), ExitCode.INPUT)


def test_bomb(tmp_path, photo):
    out = tmp_path / "out.png"
    args = ["--max-megapixels", "0.0003"]
    done = run_cli("upscale", photo, "-o", out, *args, faults=["fake_model"])
    assert_refused(done, ExitCode.INPUT, "photo.jpg", "--max-megapixels")
    assert not out.exists()


def test_existing_output(tmp_path, photo):
    out = tmp_path / "out.png"
    out.write_text("precious")
    assert_refused(run_cli("upscale", photo, "-o", out), ExitCode.OUTPUT, "out.png", "--overwrite")
    assert out.read_text() == "precious"
    done = run_cli("upscale", photo, "-o", out, "--overwrite", faults=["fake_model"])
    assert done.code == 0
    assert images.size_of(out) == (96, 64)


def test_missing_folder(tmp_path, photo):
    done = run_cli("upscale", photo, "-o", tmp_path / "nowhere" / "out.png")
    assert_refused(done, ExitCode.OUTPUT, "nowhere")


def test_a_file_where_a_folder_was_named(tmp_path, photo):
    done = run_cli("upscale", photo, "-o", f"{photo}/")
    assert_refused(done, ExitCode.OUTPUT, "photo.jpg")


def test_folder_that_cannot_be_written(photo):
    # Even root may not write there.
    done = run_cli("upscale", photo, "-o", "/proc/out.png", faults=["fake_model"])
    assert_refused(done, ExitCode.OUTPUT, "/proc")
    assert_refused(run_cli("upscale", photo, "-o", "/proc/new/"), ExitCode.OUTPUT, "/proc/new")


def test_unknown_format(tmp_path, photo):
    done = run_cli("upscale", photo, "-o", tmp_path / "out.xyz")
    assert done.code in (ExitCode.USAGE, ExitCode.OUTPUT)
    assert_refused(done, ExitCode(done.code), "xyz")
    done = run_cli("upscale", photo, "--format", "xyz")
    assert_refused(done, ExitCode(done.code), "xyz")


@pytest.mark.parametrize("link", [None, "symlink", "hardlink"])
def test_the_input_is_never_overwritten(tmp_path, photo, link):
    out = tmp_path / "link.jpg" if link else photo
    if link == "symlink":
        out.symlink_to(photo)
    if link == "hardlink":
        out.hardlink_to(photo)
    before = photo.read_bytes()
    done = run_cli("upscale", photo, "-o", out, "--overwrite", faults=["fake_model"])
    assert_refused(done, ExitCode.OUTPUT, out.name, "input")
    assert photo.read_bytes() == before


def test_full_disk(tmp_path, photo):
    """A file size limit is a full disk that root feels too."""
    out = tmp_path / "out.png"
    argv = command("upscale", photo, "-o", out, "--scale", "8", faults=["fake_model"])
    done = subprocess.run(
        argv,
        capture_output=True,
        env={**environment(), "PYTHONDONTWRITEBYTECODE": "1"},
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000)),
        check=False,
    )
    lines = done.stderr.decode().splitlines()
    assert done.returncode == ExitCode.OUTPUT, lines
    assert lines[-1].startswith("error: ")
    assert not [line for line in lines if line.startswith("Traceback")]
    assert others(tmp_path, photo) == []


@pytest.mark.parametrize("args", [["upscale", "-", "-o", "-"], ["models", "path"], ["--help"]])
def test_full_device_on_stdout(args):
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            command(*args, faults=["fake_model"]),
            input=images.jpeg_bytes(),
            stdout=full,
            stderr=subprocess.PIPE,
            env=environment(),
            check=False,
        )
    (line,) = (x for x in done.stderr.decode().splitlines() if not x.startswith("note:"))
    assert done.returncode == ExitCode.OUTPUT
    assert line == "error: standard output: No space left on device"


def test_closed_stdout():
    argv = " ".join(command("models", "path"))
    done = subprocess.run(
        ["bash", "-c", f"{argv} >&-"], capture_output=True, env=environment(), check=False
    )
    assert done.returncode == ExitCode.OUTPUT
    assert done.stderr.decode().startswith("error: standard output")


def test_device_as_output_stays_a_device(photo):
    done = run_cli(
        "upscale", photo, "-o", "/dev/null", "--format", "png", "--overwrite", faults=["fake_model"]
    )
    assert Path("/dev/null").is_char_device()
    assert done.code in (ExitCode.OK, ExitCode.OUTPUT)


@pytest.mark.parametrize(
    ("args", "words"),
    [
        ([], ["FILE"]),
        (["a.jpg", "b.jpg"], ["b.jpg"]),
        (["a.jpg", "--scale", "9"], ["--scale"]),
        (["a.jpg", "--scale", "0.5"], ["--scale"]),
        (["a.jpg", "--scale", "nan"], ["--scale"]),
        (["a.jpg", "--scale", "inf"], ["--scale"]),
        (["a.jpg", "--scale", "two"], ["--scale"]),
        (["a.jpg", "--scale"], ["--scale"]),
        (["a.jpg", "--scale", "4", "--long-edge", "900"], ["--scale", "--long-edge"]),
        (["a.jpg", "--long-edge", "0"], ["--long-edge"]),
        (["a.jpg", "--steps", "0"], ["--steps"]),
        (["a.jpg", "--guidance", "-1"], ["--guidance"]),
        (["a.jpg", "--guidance", "nan"], ["--guidance"]),
        (["a.jpg", "--seed", "-1"], ["--seed"]),
        (["a.jpg", "--seed", "1.5"], ["--seed"]),
        (["a.jpg", "--start", "middle"], ["--start", "noise", "lr"]),
        (["a.jpg", "--color-fix", "magic"], ["--color-fix", "wavelet"]),
        (["a.jpg", "--device", "tpu"], ["--device", "cuda"]),
        (["a.jpg", "--dtype", "fp8"], ["--dtype", "bf16"]),
        (["a.jpg", "--quantize", "int2"], ["--quantize", "int8"]),
        (["a.jpg", "--quantize", "int4", "--low-memory"], ["--quantize", "--low-memory"]),
        (["a.jpg", "--quantize", "fp8", "--device", "cpu"], ["--quantize fp8", "NVIDIA"]),
        (["a.jpg", "--tile", "0"], ["--tile"]),
        (["a.jpg", "--tile", "16", "--overlap", "16"], ["--overlap", "--tile"]),
        (["a.jpg", "--quality", "101"], ["--quality"]),
        (["a.jpg", "--max-megapixels", "0"], ["--max-megapixels"]),
        (["a.jpg", "--max-megapixels", "nan"], ["--max-megapixels"]),
        (["a.jpg", "--sale", "2"], ["--sale", "--scale"]),
        (["a.jpg", "-x"], ["-x"]),
        (["a.jpg", "-o", ""], ["output"]),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_wrong_options(args, words, tmp_path):
    images.save(tmp_path / "a.jpg")
    done = run_cli("upscale", *args, cwd=tmp_path)
    assert_refused(done, ExitCode.USAGE, *words)


@pytest.mark.parametrize("group", ["models", "data", "study", "inspect"])
def test_a_group_alone_is_one_line(group):
    assert_refused(run_cli(group), ExitCode.USAGE, "Missing command", f"dit4sr {group} --help")


def test_unknown_command_suggests_the_right_one():
    assert_refused(run_cli("upscall"), ExitCode.USAGE, "upscale")


@pytest.mark.parametrize("args", [["--tile", "64"], []])
def test_out_of_memory_names_the_option_that_helps(tmp_path, photo, args):
    done = run_cli(
        "upscale", photo, "-o", tmp_path / "o.png", *args, faults=["fake_model", "out_of_memory"]
    )
    assert_refused(done, ExitCode.MEMORY, "memory", "--tile")
    assert others(tmp_path, photo) == []


@pytest.mark.parametrize("fault", ["crash", "crash_in_writer"])
def test_our_own_bugs_are_one_line(tmp_path, photo, fault):
    args = ["upscale", photo, "-o", tmp_path / "out.png"]
    done = run_cli(*args, faults=["fake_model", fault])
    assert_refused(done, ExitCode.INTERNAL, "ZeroDivisionError", "-v")
    for more in ({"args": ["-v"]}, {"args": [], "env": {"DIT4SR_DEBUG": "1"}}):
        done = run_cli(*args, *more["args"], faults=["fake_model", fault], env=more.get("env"))
        assert done.code == ExitCode.INTERNAL
        assert "Traceback (most recent call last):" in done.stderr
    assert others(tmp_path, photo) == []


def test_a_result_too_large_for_its_format_is_refused_at_once(tmp_path):
    wide = images.save(tmp_path / "wide.png", 3000, 2)
    done = run_cli("upscale", wide, "-o", tmp_path / "o.webp", "--scale", "8", faults=["crash"])
    assert_refused(done, ExitCode.OUTPUT, "24000x16", "16383")


def test_one_line_even_for_a_name_with_a_line_break(tmp_path):
    done = run_cli("upscale", tmp_path / "two\nlines\x1b[31m.jpg")
    assert_refused(done, ExitCode.INPUT, r"two\nlines\x1b[31m.jpg")


@pytest.mark.parametrize("edge", ["10", "999"])
def test_a_long_edge_out_of_range_is_refused_at_once(photo, edge):
    done = run_cli("upscale", photo, "--long-edge", edge, faults=["crash"])
    assert_refused(done, ExitCode.USAGE, "--long-edge", "24x16")


def test_an_unknown_model_is_refused_at_once(photo):
    done = run_cli("upscale", photo, "--model", "no-such-model", faults=["crash"])
    assert_refused(done, ExitCode.MODEL, "no-such-model")
    assert others(photo.parent, photo) == []
