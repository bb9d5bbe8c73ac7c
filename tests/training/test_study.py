"""A study trains every variant alike, goes on where it was killed, and several share it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import images, tiny_published
from helpers.cli import command, environment, run_cli
from helpers.tiny_recipe import REGRESSION
from helpers.training_data import as_toml, prepare
from safetensors.torch import load_file

from dit4sr_cli import Upscaler, training
from dit4sr_cli.core.errors import InputError, UsageError
from dit4sr_cli.training import checkpoint, study
from dit4sr_cli.training.config import parse_config, read_config
from dit4sr_cli.training.networks import Networks, load_start
from dit4sr_cli.training.run import run

FILE = "diffusion_pytorch_model.safetensors"
TINY = {
    **REGRESSION,
    "seed": 0,
    "codec": {"refine_width": 0},
    "data": {"tile": 64, "tiles_per_crop": 2, "validation_photographs": 1, "workers": 0},
    "optimizer": {"steps": 1, "batch": 2, "warmup": 0},
    "validation": {"every": 100, "samples": 1, "pictures": 0},
}


@pytest.fixture(scope="module")
def photographs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photographs")
    for seed in range(2):
        images.save(folder / f"{seed}.png", 280, 270)
    return folder


@pytest.fixture(scope="module")
def finished(photographs, tmp_path_factory):
    """All variants, through the command, as a person would."""
    folder = tmp_path_factory.mktemp("study")
    (folder / "recipe.toml").write_text(as_toml(TINY))
    args = ["train", folder / "recipe.toml", "--study", "ablations", "--data", photographs]
    done = run_cli(*args, "-o", folder / "study", "--json")
    assert done.code == 0, done.stderr
    return folder / "study", done


def test_the_study_is_written_down(finished):
    folder, done = finished
    summary = json.loads((folder / study.FILE_NAME).read_text())
    assert json.loads(done.stdout)["runs"] == summary["runs"]
    assert (summary["schema"], summary["seeds"]) == (1, [0])
    assert summary["variants"] == ["full", "A", "B", "C", "D", "sd3-controlnet"]
    assert len(summary["runs"]) == 6
    for name, entry in summary["runs"].items():
        assert name == f"{entry['variant']}-{entry['seed']}"
        assert (folder / entry["model"] / "model.json").is_file()
        assert entry["seconds_per_step"] > 0 and entry["steps"] == 1
        state = load_file(folder / entry["model"] / "transformer" / FILE)
        if entry["variant"] != study.BASELINE:
            own = {
                n: t
                for n, t in state.items()
                if "preconditioner" not in n and "pos_embed.pos" not in n
            }
            assert entry["parameters"] == sum(tensor.numel() for tensor in own.values())
        assert f"{entry['variant']}: {entry['parameters'] / 1e6:.3f} M parameters" in done.stderr


def test_variants_start_alike_and_see_the_same(finished):
    """The first loss is that of a start whose output is zero: the samples' alone."""
    lines = [(path.parent / "log.jsonl").read_text() for path in finished[0].glob("*/run.json")]
    losses = [[json.loads(line)[key] for key in ("pixel", "flow")] for line in lines]
    assert len(losses) == 6 and all(loss == losses[0] for loss in losses)
    assert losses[0][0] > 0


def test_seeds_follow_the_recipes():
    config = parse_config({**TINY, "seed": 5})
    items = study.plan(config, seeds=2, variants=["A", "full"])
    assert [item.name for item in items] == ["full-5", "A-5", "full-6", "A-6"]
    assert [item.config.seed for item in items] == [5, 5, 6, 6]


@pytest.mark.parametrize("name", ["full", "sd3-controlnet"])
def test_every_model_enlarges(finished, tmp_path, name):
    images.save(tmp_path / "in.png", 40, 30)
    model = finished[0] / f"{name}-0" / "model"
    done = run_cli("upscale", tmp_path / "in.png", "-o", tmp_path / "out.png", "--model", model)
    assert done.code == 0, done.stderr
    told = json.loads(run_cli("info", tmp_path / "out.png", "--json").stdout)["record"]["model"]
    assert ("controlnet/" + FILE in told["weights"]) is (name == study.BASELINE)


def test_the_baseline_is_as_trained(finished):
    """The written folder computes what the averaged weights in the checkpoint do."""
    folder = finished[0] / "sd3-controlnet-0"
    state = checkpoint.load(folder)
    written = load_file(folder / "model" / "controlnet" / FILE)
    name = "controlnet_blocks.0.weight"
    expected = state["average"][f"transformer.controlnet.{name}"]
    torch.testing.assert_close(written[name].float(), expected, rtol=1e-3, atol=1e-6)
    upscaler = Upscaler.load(str(folder / "model"), device="cpu")
    assert upscaler.upscale(np.zeros((20, 17, 3), np.uint8)).pixels.shape == (80, 68, 3)


def test_a_killed_study_goes_on(photographs, tmp_path):
    path = tmp_path / "recipe.toml"
    values = {**TINY, "optimizer": {"steps": 30, "batch": 2, "warmup": 0}, "save_every": 5}
    path.write_text(as_toml(values))
    args = ["train", path, "--study", "ablations", "--only", "full,sd3-controlnet"]
    args += ["--data", photographs, "-o", tmp_path / "study"]
    process = subprocess.Popen(command(*args), env=environment(), stderr=subprocess.PIPE)
    last = tmp_path / "study" / "sd3-controlnet-0" / checkpoint.NAME
    while not last.exists():
        assert process.poll() is None, process.stderr.read().decode()
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.wait(60)
    assert list(json.loads((tmp_path / "study/study.json").read_text())["runs"]) == ["full-0"]
    written = (tmp_path / "study/full-0/model/model.json").stat().st_mtime_ns
    assert run_cli(*args).code == 0
    assert (tmp_path / "study/full-0/model/model.json").stat().st_mtime_ns == written
    config = study.variant_of(parse_config(values), study.BASELINE)
    whole = run(config, photographs, tmp_path / "whole")
    for part in ("transformer", "controlnet"):
        states = [
            load_file(each / part / FILE)
            for each in (whole, tmp_path / "study/sd3-controlnet-0/model")
        ]
        assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


def test_what_another_process_trains_is_left_to_it(photographs, tmp_path):
    from filelock import FileLock

    items = study.plan(parse_config(TINY), variants=["full", "C"])
    (tmp_path / "full-0").mkdir()
    with FileLock(tmp_path / "full-0" / ".lock"):
        assert list(study.train_study(items, photographs, tmp_path)["runs"]) == ["C-0"]
    assert list(study.train_study(items, photographs, tmp_path)["runs"]) == ["full-0", "C-0"]


def test_what_does_not_go_together_is_refused(photographs, tmp_path):
    items = study.plan(parse_config(TINY), variants=["full"])
    study.train_study(items, photographs, tmp_path)
    other = study.plan(parse_config({**TINY, "objective": "flow"}), variants=["full"])
    with pytest.raises(InputError, match="of another recipe"):
        study.train_study(other, photographs, tmp_path)
    with pytest.raises(UsageError, match="E: no such variant"):
        study.plan(parse_config(TINY), variants=["E"])
    common = ["train", "--data", photographs, "-o", tmp_path]
    for args, told in (
        ([], "no recipe is given"),
        (["nano", "--seeds", "2"], "belong to --study"),
        (["--study", "ablations", "--stop-after", "2"], "exclude each other"),
    ):
        done = run_cli(*common, *args)
        assert done.code == 2 and told in done.stderr


def test_the_shipped_recipe_is_one():
    config = read_config(Path(training.__file__).parent / "recipes" / "ablations.toml")
    sizes = {item.variant: item.parameters for item in study.plan(config)}
    assert sizes["C"] < sizes["A"] == sizes["B"] == sizes["full"] < sizes["D"]


def test_in_the_papers_setting_the_controlnet_alone_is_trained(tmp_path):
    base = tmp_path / "base"
    base.mkdir()
    torch.manual_seed(0)
    tiny_published.write_transformer(base / "whole")
    state = load_file(base / "whole" / FILE)
    _write_sd3(base / "transformer", state, json.loads((base / "whole/config.json").read_text()))
    shutil.rmtree(base / "whole")
    values = {
        "objective": "flow",
        "network": "sd3-controlnet",
        "start": {"base": str(base), "trained": "control"},
        "data": {"validation_photographs": 2, "workers": 0},
        "optimizer": {"steps": 2, "batch": 4, "warmup": 0, "learning_rate": 1e-2},
        "validation": {"samples": 1, "steps": 1},
    }
    config = parse_config(values)
    load_start(networks := Networks(config), config)
    trained = {name for name, p in networks.named_parameters() if p.requires_grad}
    assert trained == {n for n, _ in networks.named_parameters() if ".controlnet." in n}
    folder = run(config, prepare(tmp_path / "data"), tmp_path / "run")
    written = load_file(folder / "transformer" / FILE)
    for name, tensor in written.items():
        torch.testing.assert_close(tensor.float(), state[name].float(), rtol=1e-3, atol=1e-5)
    assert load_file(folder / "controlnet" / FILE)["controlnet_blocks.0.weight"].any()


def _write_sd3(folder, state, config):
    """A DiT4SR without what Stable Diffusion's transformer does not have."""
    from safetensors.torch import save_file

    from dit4sr_cli.model.config import TransformerConfig
    from dit4sr_cli.pipeline.controlnet import ControlNetBaseline

    names = ControlNetBaseline(TransformerConfig.from_dict(config)).base.state_dict()
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(config))
    save_file({name: state[name] for name in names}, folder / FILE)
