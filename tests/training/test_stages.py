"""A recipe that goes on from others has them made first, and each only once."""

import subprocess
import sys

import pytest
from helpers import cli, images

from dit4sr_cli.core.errors import UsageError
from dit4sr_cli.training.stages import stages

RECIPE = """
objective = "regression"
[transformer]
sample_size = 32
patch_size = 1
in_channels = 192
out_channels = 192
num_layers = 1
attention_head_dim = 8
num_attention_heads = 1
caption_projection_dim = 8
joint_attention_dim = 2
pooled_projection_dim = 2
pos_embed_max_size = 32
wiring = "r1"
preconditioning = "residual"
[codec]
refine_width = 0
[data]
tile = 32
workers = 0
validation_photographs = 1
[optimizer]
steps = 2
batch = 2
[validation]
samples = 1
pictures = 0
"""

DRAWING = """
[draw]
joint = 0.5
[codec]
draw_width = 8
draw_blocks = 1
draw_fine = 8
"""


@pytest.fixture
def recipes(tmp_path):
    for name, initial in (("first", ""), ("second", "first.toml"), ("third", "second.toml")):
        text = (f'initial = "{initial}"\n' if initial else "") + RECIPE
        (tmp_path / f"{name}.toml").write_text(text)
    return tmp_path


def test_they_come_in_order_and_end_with_the_recipe(recipes):
    found = stages(str(recipes / "third.toml"))
    assert [stage.name for stage in found] == ["first", "second", ""]
    assert [str(stage.folder(recipes / "o").relative_to(recipes)) for stage in found] == [
        "o/first",
        "o/second",
        "o",
    ]
    assert len(stages(str(recipes / "third.toml"), alone=True)) == 1


def test_nano_is_made_by_one_command():
    assert [stage.name for stage in stages("nano")] == [
        "nano-begin",
        "nano-finish",
        "nano-draw",
        "",
    ]


def test_a_circle_is_refused(recipes):
    (recipes / "first.toml").write_text('initial = "third.toml"\n' + RECIPE)
    with pytest.raises(UsageError, match="goes on from itself"):
        stages(str(recipes / "third.toml"))


def test_the_command_makes_each_and_goes_on_after_a_stop(recipes):
    for seed in range(2):
        (recipes / "photos").mkdir(exist_ok=True)
        images.save(recipes / "photos" / f"{seed}.png", 300, 280)
    words = ["train", recipes / "second.toml", "--data", recipes / "photos", "-o", recipes / "o"]
    found = cli.run_cli(*words, "--stop-after", "1")
    assert found.code == 0, found.stderr
    first = recipes / "o" / "first"
    assert (first / "model" / "model.json").exists()
    before = (first / "last.pt").read_bytes()
    found = cli.run_cli(*words)
    assert found.code == 0, found.stderr
    assert "step 2" in found.stderr
    assert (first / "last.pt").read_bytes() == before
    assert (recipes / "o" / "model" / "model.json").exists()


def test_two_processes_go_through_them_together(recipes):
    (recipes / "photos").mkdir()
    for seed in range(2):
        images.save(recipes / "photos" / f"{seed}.png", 300, 280)
    whole = RECIPE.replace("batch = 2", "batch = 4")
    (recipes / "first.toml").write_text(whole)
    drawing = whole.replace('"regression"', '"drawing"').replace("[codec]", DRAWING)
    (recipes / "second.toml").write_text('initial = "first.toml"\n' + drawing)
    argv = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    argv += ["-m", "dit4sr_cli", "train", "second.toml", "--data", "photos", "-o", "o"]
    done = subprocess.run(
        [sys.executable, *argv, "--device", "cpu"],
        env=cli.environment(),
        cwd=recipes,
        capture_output=True,
        check=False,
        timeout=200,
    )
    assert done.returncode == 0, done.stderr.decode()[-2000:]
    for folder in (recipes / "o" / "first", recipes / "o"):
        assert (folder / "model" / "model.json").exists()
