"""The published model end to end, tiny and random: pull, caption, encode, sample, decode, write."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from helpers import images, tiny_hub
from helpers.cli import Finished, run_cli
from helpers.hub import Hub
from PIL import Image

from dit4sr_cli.captions.prompts import NEGATIVE_PROMPT, QUALITY_SUFFIX

FAST = ("--steps", "2", "--json")


class Machine:
    """A home of its own, and the hub that it talks to."""

    def __init__(self, home: Path, hub: Hub) -> None:
        self.home, self.hub = home, hub

    def run(self, *args, **how) -> Finished:
        env = self.hub.env(DIT4SR_HOME=str(self.home), HF_TOKEN="good")
        return run_cli(*args, env=env, **how)

    def ok(self, *args, **how) -> dict:
        done = self.run(*args, **how)
        assert done.code == 0, done.stderr
        return json.loads(done.stdout) if done.stdout else {}


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    with Hub(tiny_hub.build(tmp_path_factory.mktemp("hub"))) as hub:
        hub.gate(tiny_hub.SD35, token="good")
        yield hub


@pytest.fixture(scope="module")
def machine(tmp_path_factory, hub) -> Machine:
    """With dit4sr-q and a captioner pulled."""
    machine = Machine(tmp_path_factory.mktemp("home"), hub)
    machine.ok("models", "pull", "--captioner", "llava-1.5-7b", "--accept-licence", "--json")
    return machine


@pytest.fixture
def photo(tmp_path):
    return images.save(tmp_path / "photo.jpg", 40, 32, quality=95)


def test_what_was_pulled_is_the_default_and_captions_the_photo(machine, photo, tmp_path):
    machine.hub.forget()
    made = machine.ok("upscale", photo, "-o", tmp_path / "out.png", *FAST)
    assert images.size_of(tmp_path / "out.png") == (160, 128)
    assert (made["model"], made["steps"], made["guidance"]) == ("dit4sr-q", 2, 8.0)
    revision = machine.hub.sha(tiny_hub.LLAVA)
    assert made["prompt_origin"] == f"captioner:llava-1.5-7b@{revision}"
    assert made["revision"] == machine.hub.sha(tiny_hub.DIT4SR)
    assert made["prompt"].endswith(QUALITY_SUFFIX)
    assert made["prompt"].startswith(made["caption"])
    assert made["negative_prompt"] == NEGATIVE_PROMPT
    assert machine.hub.requests == []  # nothing is fetched without being asked


def test_a_second_run_reads_neither_captioner_nor_text_encoders(machine, photo, tmp_path):
    first = machine.ok("upscale", photo, "-o", tmp_path / "a.png", *FAST)
    done = machine.run("upscale", photo, "-o", tmp_path / "b.png", *FAST, faults=["list_imports"])
    second = json.loads(done.stdout)
    assert second["prompt"] == first["prompt"]
    imported = set(done.lines[-1].split())
    assert "dit4sr_cli.pipeline.text" in imported
    networks = ("modeling_clip", "modeling_t5", "modeling_llava")
    assert not {name for name in imported if name.endswith(networks)}
    with Image.open(tmp_path / "a.png") as a, Image.open(tmp_path / "b.png") as b:
        assert a.tobytes() == b.tobytes()


@pytest.mark.parametrize("options", [("--low-memory",), ("--no-t5",), ("--dtype", "bf16")])
def test_with_less_memory(machine, photo, tmp_path, options):
    made = machine.ok(
        "upscale", photo, "-o", tmp_path / "out.png", "--prompt", "a cat", *options, *FAST
    )
    assert made["prompt"] == f"a cat {QUALITY_SUFFIX}"
    assert made["prompt_origin"] == "option"
    # Random weights make another picture of it, which is said; and nothing else.
    assert made["fidelity"]["verdict"] in ("changed", "different")
    assert all(text.startswith(f"{photo}: ") for text in made["warnings"])


def test_prompts_are_files_and_may_be_left_out(machine, photo, tmp_path):
    sidecar = photo.with_suffix(".txt")
    sidecar.write_text("a cat\n")
    made = machine.ok("upscale", photo, "-o", tmp_path / "a.png", "--suffix", "", *FAST)
    assert (made["prompt"], made["prompt_origin"]) == ("a cat", f"sidecar:{sidecar}")
    sidecar.unlink()
    made = machine.ok("upscale", photo, "-o", tmp_path / "b.png", "--caption", "none", *FAST)
    assert (made["prompt"], made["prompt_origin"]) == (QUALITY_SUFFIX, "none")


def test_other_models_share_the_base(machine, photo, tmp_path):
    machine.hub.forget()
    made = machine.ok(
        *("upscale", photo, "-o", tmp_path / "out.png", "--model", "dit4sr-r1", "--prompt", "a"),
        *("--pull", "--accept-licence", *FAST),
    )
    assert made["model"] == "dit4sr-r1"
    assert not [request for request in machine.hub.requests if tiny_hub.SD35 in request.name]


def test_without_a_pull_the_name_says_what_to_do(hub, photo, tmp_path):
    machine = Machine(tmp_path / "empty", hub)
    hub.forget()
    done = machine.run("upscale", photo, "-o", tmp_path / "out.png", "--model", "dit4sr-q")
    assert done.code == 5
    assert "dit4sr models pull dit4sr-q" in done.stderr
    assert hub.requests == []
    assert not (tmp_path / "out.png").exists()
