"""The record through the real command: written, shown, verified, replayed; tampering is seen."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from helpers import images, tiny_published
from helpers.cli import Finished, run_cli
from helpers.xmp_samples import HOSTILE, LIGHTROOM
from PIL import PngImagePlugin

from dit4sr_cli.core.errors import ExitCode
from dit4sr_cli.imaging import formats, reader, writer, xmp
from dit4sr_cli.imaging.picture import Metadata, Picture

FORMATS = sorted(formats.WRITABLE)
CPU = ("--device", "cpu", "-q")


def upscale(source, out, *args, env=None) -> Finished:
    done = run_cli("upscale", source, "-o", out, "--device", "cpu", *args, env=env)
    assert done.code == 0, done.stderr
    return done


def record_of(path, env=None) -> dict:
    done = run_cli("info", path, "--json", env=env)
    assert done.code == 0, done.stderr
    return json.loads(done.stdout)["record"]


def verify(path, *args, env=None) -> tuple[int, dict[str, str]]:
    done = run_cli("verify", path, *args, "--json", env=env)
    checks = json.loads(done.stdout)["checks"]
    return done.code, {name: check["state"] for name, check in checks.items()}


def packet_of(path) -> bytes:
    return reader.read(path)[0].metadata.xmp


def with_packet(path, packet: bytes, *, touch: int | None = None) -> None:
    """Write a PNG again with another packet, and perhaps one sample one level off."""
    [picture] = reader.read(path)
    if touch is not None:
        picture.pixels.flat[touch] ^= 1
    info = Metadata(xmp=packet)
    again = Picture(picture.pixels, None, info, "again", "png", "rgb")
    writer.write([again], path, format="png", overwrite=True)


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("made")
    images.save(folder / "photo.jpg", 24, 16, quality=95)
    upscale(folder / "photo.jpg", folder / "out.png", "--sidecar")
    return folder


@pytest.fixture
def copy(made, tmp_path) -> Path:
    (tmp_path / "out.png").write_bytes((made / "out.png").read_bytes())
    return tmp_path / "out.png"


# ------------------------------------------------------------------------- every format


@pytest.mark.parametrize("format", FORMATS)
def test_every_format_carries_it(format, tmp_path):
    source = tmp_path / "photo.png"
    pixels = np.asarray(images.scene(24, 16)).astype(np.uint16) * 257 + 3
    info = Metadata(xmp=LIGHTROOM)
    writer.write([Picture(pixels, None, info, "photo", "png", "rgb")], source, format="png")
    out = tmp_path / f"out.{format}"
    upscale(source, out, "-q")
    packet = packet_of(out)
    assert b'xmp:Rating="4"' in packet
    assert "Köln".encode() in packet
    assert b'e:action="saved"' in packet
    code, states = verify(out, "--source", source)
    assert code == 0
    assert set(states.values()) == {"same"}
    record = record_of(out)
    assert record["source"]["name"] == "photo.png"
    assert record["output"]["format"] == format
    assert str(tmp_path) not in json.dumps(record)
    done = run_cli("rerun", out, "--source", source, "-o", tmp_path / f"again.{format}", "--json")
    assert done.code == 0, done.stderr
    assert json.loads(done.stdout)["difference"]["same"]


def test_fewer_bits_are_replayed(made, tmp_path):
    upscale(made / "photo.jpg", tmp_path / "out.png", "--quantize", "int4", "-q")
    assert record_of(tmp_path / "out.png")["machine"]["quantize"] == "int4"
    args = ("--source", made / "photo.jpg", "-o", tmp_path / "again.png", "--json")
    done = run_cli("rerun", tmp_path / "out.png", *args)
    assert done.code == 0, done.stderr
    assert json.loads(done.stdout)["difference"]["same"]


@pytest.mark.skipif(shutil.which("exiftool") is None, reason="exiftool is not installed")
def test_other_readers_find_it(made):
    command = ["exiftool", "-json", "-XMP:all", str(made / "out.png")]
    done = subprocess.run(command, capture_output=True, check=True)
    [tags] = json.loads(done.stdout)
    assert tags["Model"] == "nano"
    assert tags["HistoryAction"] == "edited"
    assert "composite" in tags["DigitalSourceType"].lower()


def test_pages_have_numbers_and_digests_of_their_own(tmp_path):
    first, second = images.scene(24, 16), images.scene(20, 20)
    first.save(tmp_path / "scan.tif", save_all=True, append_images=[second])
    upscale(tmp_path / "scan.tif", tmp_path / "out.tif", "-q")
    pages = reader.read(tmp_path / "out.tif")
    assert [xmp.properties(p.metadata.xmp)["Page"] for p in pages] == ["1/2", "2/2"]
    sizes = [page["size"] for page in record_of(tmp_path / "out.tif")["output"]["pages"]]
    assert sizes == [[96, 64], [80, 80]]
    assert verify(tmp_path / "out.tif", "--source", tmp_path / "scan.tif")[0] == 0
    args = ("--source", tmp_path / "scan.tif", "-o", tmp_path / "again.tif")
    assert b"the same pixels" in run_cli("rerun", tmp_path / "out.tif", *args).stdout


def test_grey_with_alpha_and_a_pipe(tmp_path):
    buffer = io.BytesIO()
    images.scene(24, 16, "LA").save(buffer, "PNG")
    out = tmp_path / "out.webp"
    done = run_cli("upscale", "-", "-o", out, *CPU, input=buffer.getvalue())
    assert done.code == 0, done.stderr
    assert record_of(out)["source"]["name"] == "-"
    (tmp_path / "in.png").write_bytes(buffer.getvalue())
    assert verify(out, "--source", tmp_path / "in.png")[0] == 0


def test_to_standard_output(made, tmp_path):
    done = run_cli("upscale", made / "photo.jpg", "-o", "-", *CPU)
    (tmp_path / "out.png").write_bytes(done.stdout)
    assert verify(tmp_path / "out.png", "--source", made / "photo.jpg")[0] == 0


def test_a_run_gives_the_same_record_and_with_a_stopped_clock_the_same_file(made, tmp_path):
    clock = {"SOURCE_DATE_EPOCH": "1700000000"}
    for name in ("a.png", "b.png"):
        upscale(made / "photo.jpg", tmp_path / name, "-q", env=clock)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    first, second = record_of(made / "out.png"), record_of(tmp_path / "a.png")
    assert {**first, "made": ""} == {**second, "made": ""}
    assert second["made"] == "2023-11-14T22:13:20+00:00"


# ------------------------------------------------------------------------- sidecar, none


def test_the_sidecar_is_the_record(made):
    assert json.loads((made / "out.png.json").read_text()) == record_of(made / "out.png")


def test_neither_comes_without_the_other(made, tmp_path):
    (tmp_path / "out.png.json").write_text("mine")
    args = ("upscale", made / "photo.jpg", "-o", tmp_path / "out.png", *CPU, "--sidecar")
    done = run_cli(*args)
    assert done.code == ExitCode.OUTPUT
    assert not (tmp_path / "out.png").exists()
    assert (tmp_path / "out.png.json").read_text() == "mine"
    assert run_cli(*args, "--overwrite").code == 0
    assert verify(tmp_path / "out.png")[0] == 0
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out.png", "out.png.json"]


def test_the_sidecar_needs_a_place(made):
    done = run_cli("upscale", made / "photo.jpg", "-o", "-", "--sidecar")
    assert done.code == ExitCode.USAGE


def test_no_record(made, tmp_path):
    out = tmp_path / "out.png"
    upscale(made / "photo.jpg", out, "-q", "--no-record")
    assert packet_of(out) is None
    for command in ("info", "verify"):
        done = run_cli(command, out)
        assert done.code == ExitCode.INPUT
        assert "has no record" in done.stderr
    upscale(made / "photo.jpg", out, "-q", "--no-record", "--sidecar", "--overwrite")
    assert packet_of(out) is None
    assert verify(out, "--source", made / "photo.jpg")[0] == 0


def test_info_for_a_person(made):
    done = run_cli("info", made / "out.png")
    lines = done.stdout.decode().splitlines()
    assert any(line.split() == ["model", "nano"] for line in lines)
    assert any(line.startswith("libraries") and "torch" in line for line in lines)


# ------------------------------------------------------------------------- tampering


def test_a_tampered_pixel(copy, made):
    with_packet(copy, packet_of(copy), touch=77)
    code, states = verify(copy, "--source", made / "photo.jpg")
    assert code == ExitCode.INPUT
    assert states == {"record": "same", "pixels": "changed", "source": "same", "weights": "same"}


@pytest.mark.parametrize(
    ("before", "after"),
    [(b'"seed":0', b'"seed":1'), (b"<dit4sr:Seed>0<", b"<dit4sr:Seed>7<")],
)
def test_tampered_metadata(copy, before, after):
    packet = packet_of(copy)
    assert before in packet
    with_packet(copy, packet.replace(before, after))
    code, states = verify(copy)
    assert code == ExitCode.INPUT
    assert (states["record"], states["pixels"]) == ("changed", "same")


@pytest.mark.parametrize(
    "record",
    [b"{", b"[]", b'{"schema":1}', b'{"schema":99}', b"[" * 5000, b'{"schema":1,"tool":5}'],
)
def test_a_record_that_anybody_wrote(copy, record):
    packet = packet_of(copy)
    start, end = packet.index(b"<dit4sr:Record>") + 15, packet.index(b"</dit4sr:Record>")
    with_packet(copy, packet[:start] + record + packet[end:])
    for command in (
        ("info",),
        ("verify",),
        ("rerun", "--source", copy, "-o", copy.parent / "n.png"),
    ):
        done = run_cli(command[0], copy, *command[1:])
        assert done.code == ExitCode.INPUT, done.stderr
        (line,) = done.lines
        assert "its record" in line


def test_another_source(made, tmp_path):
    other = images.save(tmp_path / "photo.jpg", 24, 16, quality=50)
    code, states = verify(made / "out.png", "--source", other)
    assert (code, states["source"]) == (ExitCode.INPUT, "changed")
    args = ("rerun", made / "out.png", "--source", other, "-o", tmp_path / "again.png", "--json")
    done = run_cli(*args)
    assert done.code == ExitCode.INPUT
    assert "--force" in done.stderr
    assert not (tmp_path / "again.png").exists()
    forced = json.loads(run_cli(*args, "--force").stdout)
    assert not forced["difference"]["same"]
    assert forced["difference"]["max_level"] > 0
    assert forced["difference"]["psnr"] > 10
    assert len(forced["notes"]) == 1


def test_rerun_never_replaces_what_it_compares_to(made):
    args = ("--source", made / "photo.jpg", "-o", made / "out.png", "--overwrite")
    assert run_cli("rerun", made / "out.png", *args).code == ExitCode.OUTPUT


# ------------------------------------------------------------------------- hostile sources


@pytest.mark.parametrize("name", ["billion laughs", "not well-formed", "five megabytes"])
def test_hostile_xmp_is_replaced_with_a_warning(name, tmp_path):
    source = tmp_path / "photo.png"
    text = PngImagePlugin.PngInfo()
    text.add_itxt("XML:com.adobe.xmp", HOSTILE[name].decode("utf-8", "replace"))
    images.scene(24, 16).save(source, pnginfo=text)
    done = upscale(source, tmp_path / "out.jpg")
    assert any("its XMP is replaced" in line for line in done.lines), done.stderr
    assert verify(tmp_path / "out.jpg", "--source", source)[0] == 0


# ------------------------------------------------------------------------- published layout


@pytest.fixture(scope="module")
def published(tmp_path_factory) -> Path:
    return tiny_published.build(tmp_path_factory.mktemp("models") / "tiny")


def test_the_published_layout_with_a_prompt_from_a_sidecar(published, tmp_path):
    env = {"DIT4SR_HOME": str(tmp_path / "home")}
    photo = images.save(tmp_path / "photo.jpg", 40, 32, quality=95)
    (tmp_path / "photo.txt").write_text("a cat\n")
    out = tmp_path / "out.jpg"
    upscale(photo, out, "--model", published, "--steps", "2", "--no-t5", "-q", env=env)
    record = record_of(out, env)
    assert record["prompt"]["captions"] == ["a cat"]
    assert record["prompt"]["origin"] == "sidecar:photo.txt"
    assert record["prompt"]["text"].startswith("a cat Cinematic")
    parts = {name.split("/")[0] for name in record["model"]["weights"]}
    assert parts == {"transformer", "vae", "text_encoder", "text_encoder_2"}
    assert record["machine"]["t5"] is False
    assert str(tmp_path) not in json.dumps(record)
    assert len(list((tmp_path / "home/cache/digests").iterdir())) == 4

    (tmp_path / "photo.txt").write_text("a house\n")  # the prompt comes from the record
    args = ("rerun", out, "--source", photo, "--json")
    done = run_cli(*args, "-o", tmp_path / "no.jpg", env=env)
    assert done.code == ExitCode.MODEL
    assert "--model" in done.stderr
    done = run_cli(*args, "-o", tmp_path / "again.jpg", "--model", published, env=env)
    assert done.code == 0, done.stderr
    assert json.loads(done.stdout)["difference"]["same"]

    code, states = verify(out, env=env)
    assert (code, states["weights"]) == (0, "not compared")
    models = tmp_path / "home" / "models"
    models.mkdir()
    other = tiny_published.build(models / "tiny", seed=1)
    assert other.name == record["model"]["name"]
    code, states = verify(out, env=env)
    assert (code, states["weights"]) == (ExitCode.MODEL, "changed")
    done = run_cli(*args, "-o", tmp_path / "other.jpg", env=env)
    assert done.code == ExitCode.MODEL
    assert "other weights" in done.stderr
    done = run_cli(*args, "-o", tmp_path / "other.jpg", "--force", env=env)
    assert done.code == 0, done.stderr
    assert not json.loads(done.stdout)["difference"]["same"]


def test_a_prompt_too_long_for_jpeg_is_left_out_and_said(published, tmp_path):
    photo = images.save(tmp_path / "photo.jpg", 24, 16, quality=95)
    (tmp_path / "photo.txt").write_text("a cat " * 9000)
    args = ("--model", published, "--steps", "1")
    done = upscale(photo, tmp_path / "out.jpg", *args)
    assert any("too long for jpeg" in line for line in done.lines), done.stderr
    record = record_of(tmp_path / "out.jpg")
    assert "prompt.text" in record["omitted"]
    assert verify(tmp_path / "out.jpg", "--source", photo)[0] == 0
    upscale(photo, tmp_path / "b.jpg", *args, "--sidecar", "-q")
    assert "omitted" not in record_of(tmp_path / "b.jpg")
