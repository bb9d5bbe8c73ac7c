"""Runs with the paper's objective: resumed, shared, cut in parts, stopped, exported, shown."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
from helpers import images, tiny_published
from helpers.cli import command, environment, run_cli
from helpers.training_data import as_toml, prepare, recipe
from PIL import Image
from safetensors.torch import load_file

from dit4sr_cli.core.errors import InputError, UsageError
from dit4sr_cli.jobs.upscaler import Upscaler
from dit4sr_cli.training import checkpoint
from dit4sr_cli.training.config import parse_config
from dit4sr_cli.training.run import run

WEIGHTS = "transformer/diffusion_pytorch_model.safetensors"


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return tiny_published.build(tmp_path_factory.mktemp("base"))


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return prepare(tmp_path_factory.mktemp("data"))


def _losses(folder):
    lines = (folder / "log.jsonl").read_text().splitlines()
    return [json.loads(line)["flow"] for line in lines]


def _seen_losses(config, data, folder):
    seen = []
    run(config, data, folder, observe=seen.append)
    return [progress.losses["flow"] for progress in seen]


def _flat(state, path=""):
    for key, value in state.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{path}{key}.")
        elif isinstance(value, torch.Tensor):
            yield f"{path}{key}", value


def test_twenty_steps_are_ten_and_ten(base, data, tmp_path):
    config = parse_config(recipe(base, optimizer={"steps": 20}))
    run(config, data, tmp_path / "whole")
    run(config, data, tmp_path / "parts", stop_after=10)
    run(config, data, tmp_path / "parts")
    whole, parts = (dict(_flat(checkpoint.load(tmp_path / n))) for n in ("whole", "parts"))
    assert whole.keys() == parts.keys() and len(whole) > 50
    assert all(torch.equal(whole[name], parts[name]) for name in whole)
    models = [load_file(tmp_path / name / "model" / WEIGHTS) for name in ("whole", "parts")]
    assert all(torch.equal(models[0][name], models[1][name]) for name in models[0])


def test_only_control_moves_and_the_tool_runs_what_comes_out(base, data, tmp_path):
    folder = run(parse_config(recipe(base)), data, tmp_path / "mine")
    before, after = load_file(base / WEIGHTS), load_file(folder / WEIGHTS)
    moved = {n for n in after if not torch.equal(after[n], before[n].to(after[n].dtype))}
    assert moved and all("control" in name for name in moved)
    upscaler = Upscaler.load(str(folder), device="cpu")
    picture = np.zeros((40, 30, 3), np.uint8)
    result = upscaler.upscale(picture, prompt="a cat", steps=1)
    assert result.pixels.shape == (160, 120, 3)


def test_the_checkpoint_holds_what_is_trained_alone(base, data, tmp_path):
    run(parse_config(recipe(base)), data, tmp_path, stop_after=1)
    state = checkpoint.load(tmp_path)
    assert all("control" in name for name in state["average"])
    frozen = load_file(base / WEIGHTS).keys() - state["networks"].keys()
    assert any(name.endswith("attn.to_q.weight") for name in frozen)


def test_it_learns(base, data, tmp_path):
    optimizer = {"steps": 60, "batch": 8, "learning_rate": 3e-3}
    config = parse_config(recipe(base, optimizer=optimizer, start={"trained": "all"}))
    losses = _seen_losses(config, data, tmp_path)
    assert sum(losses[-15:]) < 0.8 * sum(losses[:15])


def test_accumulated_parts_give_the_same_steps(base, data, tmp_path):
    whole = _seen_losses(parse_config(recipe(base)), data, tmp_path / "whole")
    config = parse_config(recipe(base, compute={"accumulation": 4}))
    assert _seen_losses(config, data, tmp_path / "parts") == pytest.approx(whole, rel=1e-4)


@pytest.mark.parametrize("precision", ["bf16"])
def test_mixed_precision_holds_what_is_frozen_in_sixteen_bits(base, data, tmp_path, precision):
    full = _seen_losses(parse_config(recipe(base)), data, tmp_path / "full")
    compute = {"mixed_precision": precision, "checkpointing": True}
    mixed = _seen_losses(parse_config(recipe(base, compute=compute)), data, tmp_path / "mixed")
    assert mixed == pytest.approx(full, rel=0.03)
    assert mixed != full
    assert checkpoint.load(tmp_path / "mixed")["average"].popitem()[1].dtype == torch.float32


def test_two_processes_share_a_batch(base, data, tmp_path):
    path = tmp_path / "recipe.toml"
    path.write_text(as_toml(recipe(base, optimizer={"steps": 20, "batch": 8})))
    one = run_cli("train", path, "--data", data, "-o", tmp_path / "one", "--device", "cpu")
    assert one.code == 0, one.stderr
    argv = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    argv += ["-m", "dit4sr_cli", "train", str(path), "--data", str(data), "--device", "cpu"]
    two = subprocess.run(
        [sys.executable, *argv, "-o", str(tmp_path / "two")],
        env=environment(),
        capture_output=True,
        check=False,
        timeout=200,
    )
    assert two.returncode == 0, two.stderr.decode()[-2000:]
    assert _losses(tmp_path / "two") == pytest.approx(_losses(tmp_path / "one"), rel=1e-5)
    states = [dict(_flat(checkpoint.load(tmp_path / name)["average"])) for name in ("one", "two")]
    for name in states[0]:
        torch.testing.assert_close(states[0][name], states[1][name], rtol=1e-3, atol=1e-5)


def test_what_is_stopped_is_saved_and_goes_on_to_the_bit(base, data, tmp_path):
    values = recipe(base, optimizer={"steps": 400}, save_every=1000)
    path = tmp_path / "recipe.toml"
    path.write_text(as_toml(values))
    argv = command("train", path, "--data", data, "-o", tmp_path / "stopped", "--device", "cpu")
    process = subprocess.Popen(argv, env=environment(), stderr=subprocess.PIPE)
    log = tmp_path / "stopped" / "log.jsonl"
    while not log.exists():
        assert process.poll() is None, process.stderr.read().decode()
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGINT)
    assert process.wait(60) == 130
    step = checkpoint.load(tmp_path / "stopped")["step"]
    assert 10 <= step < 400
    again = parse_config({**values, "optimizer": {**values["optimizer"], "steps": 400}})
    run(again, data, tmp_path / "stopped", stop_after=step + 5)
    run(again, data, tmp_path / "whole", stop_after=step + 5)
    states = [dict(_flat(checkpoint.load(tmp_path / n))) for n in ("stopped", "whole")]
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[1])


def test_tensorboard_and_pictures_show_the_run(base, data, tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    validation = {"every": 5}
    config = parse_config(recipe(base, optimizer={"steps": 10}, validation=validation))
    run(config, data, tmp_path)
    pictures = sorted(path.name for path in (tmp_path / "validation").iterdir())
    assert pictures == ["000005.png", "000010.png"]
    assert Image.open(tmp_path / "validation" / pictures[0]).size == (3 * 64, 2 * 64)
    board = EventAccumulator(str(tmp_path / "tensorboard"))
    board.Reload()
    assert {"loss/flow", "validation/psnr", "validation/bicubic"} <= set(board.Tags()["scalars"])
    assert [event.step for event in board.Scalars("validation/psnr")] == [5, 10]
    assert [event.step for event in board.Images("validation")] == [5, 10]


def test_from_nothing_on_photographs(tmp_path):
    (tmp_path / "photographs").mkdir()
    for seed in range(2):
        images.save(tmp_path / "photographs" / f"{seed}.png", 280, 280)
    values = {
        "objective": "flow",
        "transformer": {
            **tiny_published.TRANSFORMER,
            "patch_size": 1,
            "in_channels": 192,
            "out_channels": 192,
            "joint_attention_dim": 2,
            "dual_attention_layers": [],
        },
        "data": {"tile": 64, "validation_photographs": 1},
        "optimizer": {"steps": 2, "batch": 2},
        "validation": {"samples": 1, "steps": 1},
    }
    folder = run(parse_config(values), tmp_path / "photographs", tmp_path / "run")
    spec = json.loads((folder / "model.json").read_text())
    assert (spec["codec"], spec["steps"]) == ("block", 1)
    pixels = (
        Upscaler.load(str(folder), device="cpu").upscale(np.zeros((40, 30, 3), np.uint8)).pixels
    )
    assert pixels.shape == (160, 120, 3)


def test_what_does_not_fit_is_refused(base, data, tmp_path):
    with pytest.raises(InputError, match="of another recipe"):
        run(parse_config(recipe(base)), data, tmp_path, stop_after=1)
        whole = parse_config(recipe(base, start={"trained": "all"}))
        run(whole, data, tmp_path)
    photographs = tmp_path / "photographs"
    photographs.mkdir()
    with pytest.raises(UsageError, match="not prepared"):
        run(parse_config(recipe(base)), photographs, tmp_path / "other")
    with pytest.raises(ValueError, match="no multiple"):
        parse_config(recipe(base, compute={"accumulation": 3}))
    with pytest.raises(ValueError, match="not one of no, fp16, bf16"):
        parse_config(recipe(base, compute={"mixed_precision": "half"}))
    with pytest.raises(ValueError, match="learning_rate is 'fast', not a number"):
        parse_config(recipe(base, optimizer={"learning_rate": "fast"}))


def test_a_machine_without_accelerate_says_how_to_get_it(base, data, tmp_path):
    path = tmp_path / "recipe.toml"
    path.write_text(as_toml(recipe(base)))
    (tmp_path / "accelerate.py").write_text("raise ImportError('not here')")
    args = ["train", path, "--data", data, "-o", tmp_path / "run"]
    place = os.pathsep.join([str(tmp_path), environment()["PYTHONPATH"]])
    finished = run_cli(*args, env={"PYTHONPATH": place})
    assert finished.code == 2
    assert finished.lines[-1].endswith("accelerate (pip install 'dit4sr[train]')")
