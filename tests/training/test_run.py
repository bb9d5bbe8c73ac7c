"""Training on real pictures, small: it learns, resumes to the bit, exports what the tool reads."""

import json

import numpy as np
import pytest
import torch
from helpers import images
from helpers.tiny_recipe import DRAWING, REGRESSION
from PIL import Image
from safetensors.torch import load_file

from dit4sr_cli.core.errors import Dit4srError, InputError, UsageError
from dit4sr_cli.jobs.upscaler import Upscaler
from dit4sr_cli.training import checkpoint
from dit4sr_cli.training.config import parse_config, read_config
from dit4sr_cli.training.dataset import TileDataset, load_photographs
from dit4sr_cli.training.networks import Networks
from dit4sr_cli.training.run import run


@pytest.fixture(scope="module")
def photographs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photographs")
    for seed in range(3):
        images.save(folder / f"{seed}.png", 300 + 20 * seed, 280)
    return folder


def _tensors(folder):
    state = checkpoint.load(folder)
    assert state["step"]
    return {**state["networks"], **{f"average.{k}": v for k, v in state["average"].items()}}


def test_stopped_and_resumed_is_the_same_to_the_bit(photographs, tmp_path):
    config = parse_config(REGRESSION)
    run(config, photographs, tmp_path / "whole")
    run(config, photographs, tmp_path / "parts", stop_after=3)
    assert checkpoint.load(tmp_path / "parts")["step"] == 3
    run(config, photographs, tmp_path / "parts")
    whole, parts = _tensors(tmp_path / "whole"), _tensors(tmp_path / "parts")
    assert all(torch.equal(whole[name], parts[name]) for name in whole)


def test_the_model_folder_is_read_by_the_tool(photographs, tmp_path):
    folder = run(parse_config(REGRESSION), photographs, tmp_path / "mine", stop_after=2)
    upscaler = Upscaler.load(str(folder), device="cpu")
    picture = np.zeros((40, 30, 3), np.uint8)
    assert upscaler.upscale(picture).pixels.shape == (160, 120, 3)
    log = [json.loads(line) for line in (tmp_path / "mine" / "log.jsonl").read_text().splitlines()]
    assert log[-1]["step"] == 2 and set(log[-1]["validation"]) == {"psnr", "bicubic"}
    sheet = Image.open(tmp_path / "mine" / "validation" / "000002.png")
    assert sheet.size == (3 * 32, 4 * 32)


def test_it_learns_to_beat_bicubic(photographs, tmp_path):
    optimizer = {"steps": 40, "batch": 4, "warmup": 2, "learning_rate": 1e-2, "ema": 0.9}
    seen = []
    recipe = parse_config({**REGRESSION, "optimizer": optimizer})
    run(recipe, photographs, tmp_path, observe=seen.append)
    assert seen[-1].validation["psnr"] > seen[-1].validation["bicubic"] + 0.02


def test_a_run_starts_from_anothers_weights(photographs, tmp_path):
    run(parse_config(REGRESSION), photographs, tmp_path / "first", stop_after=2)
    frozen = parse_config(
        {**REGRESSION, "optimizer": {**REGRESSION["optimizer"], "learning_rate": 0.0}}
    )
    run(frozen, photographs, tmp_path / "second", initial=tmp_path / "first", stop_after=1)
    first, second = _tensors(tmp_path / "first"), _tensors(tmp_path / "second")
    averaged = [name for name in second if name.startswith("average.")]
    assert averaged and all(torch.equal(second[name[8:]], first[name]) for name in averaged)


def test_a_model_can_keep_a_share_of_its_start(photographs, tmp_path):
    run(parse_config(REGRESSION), photographs, tmp_path / "first", stop_after=1)
    half = parse_config({**REGRESSION, "initial_share": 0.5})
    with pytest.raises(UsageError, match="another run"):
        run(half, photographs, tmp_path / "second")
    folder = run(half, photographs, tmp_path / "second", initial=tmp_path / "first", stop_after=2)
    name = "transformer.proj_out.weight"
    first, second = (_tensors(tmp_path / run)[f"average.{name}"] for run in ("first", "second"))
    written = load_file(folder / "transformer" / "diffusion_pytorch_model.safetensors")
    torch.testing.assert_close(
        written["proj_out.weight"].float(), (first + second) / 2, rtol=2e-3, atol=1e-6
    )


def test_drawing_goes_on_from_a_model_and_resumes_to_the_bit(photographs, tmp_path):
    model = run(parse_config(REGRESSION), photographs, tmp_path / "first", stop_after=2)
    config = parse_config(DRAWING)
    run(config, photographs, tmp_path / "whole", initial=model, stop_after=4)
    run(config, photographs, tmp_path / "parts", initial=model, stop_after=2)
    folder = run(config, photographs, tmp_path / "parts", initial=model, stop_after=4)
    whole, parts = _tensors(tmp_path / "whole"), _tensors(tmp_path / "parts")
    assert all(torch.equal(whole[name], parts[name]) for name in whole)
    for part in ("transformer", "codec"):
        before, after = (
            load_file(place / part / "diffusion_pytorch_model.safetensors")
            for place in (model, folder)
        )
        assert all(torch.equal(after[name], before[name]) for name in before)
    assert after["draw.tail.weight"].abs().max() > 0
    upscaler = Upscaler.load(str(folder), device="cpu")
    assert upscaler.upscale(np.zeros((40, 30, 3), np.uint8)).pixels.shape == (160, 120, 3)


def test_an_adversary_resumes_to_the_bit_and_leaves_the_model_as_large(photographs, tmp_path):
    model = run(parse_config(REGRESSION), photographs, tmp_path / "first", stop_after=2)
    plain = run(parse_config(DRAWING), photographs, tmp_path / "plain", initial=model, stop_after=4)
    config = parse_config({**DRAWING, "draw": {"adversarial": 0.01}})
    folder = run(config, photographs, tmp_path / "whole", initial=model, stop_after=4)
    run(config, photographs, tmp_path / "parts", initial=model, stop_after=2)
    run(config, photographs, tmp_path / "parts", initial=model, stop_after=4)
    whole, parts = (checkpoint.load(tmp_path / name) for name in ("whole", "parts"))
    for part in ("networks", "adversary"):
        assert whole[part] and all(
            torch.equal(whole[part][name], parts[part][name]) for name in whole[part]
        )
    name = "codec/diffusion_pytorch_model.safetensors"
    before, after = load_file(plain / name), load_file(folder / name)
    assert set(before) == set(after)
    assert not torch.equal(before["draw.tail.weight"], after["draw.tail.weight"])


def test_drawing_learns_to_beat_where_it_starts(photographs, tmp_path):
    optimizer = {"steps": 40, "batch": 4, "warmup": 2, "learning_rate": 3e-3, "ema": 0.9}
    seen = []
    recipe = parse_config({**DRAWING, "optimizer": optimizer})
    model = run(parse_config(REGRESSION), photographs, tmp_path / "first", stop_after=2)
    with pytest.raises(UsageError, match="another run"):
        run(recipe, photographs, tmp_path / "second")
    run(recipe, photographs, tmp_path / "second", initial=model, observe=seen.append)
    assert seen[-1].validation["psnr"] > seen[-1].validation["bicubic"] + 0.02


def test_a_loss_that_is_not_a_number_stops_and_keeps_the_checkpoint(photographs, tmp_path):
    optimizer = {"steps": 6, "batch": 4, "learning_rate": 1e30}
    config = parse_config({**REGRESSION, "optimizer": optimizer, "save_every": 1})
    with pytest.raises(Dit4srError, match="not a number"):
        run(config, photographs, tmp_path)
    assert checkpoint.load(tmp_path)["step"] >= 1


def test_samples_do_not_depend_on_order(photographs):
    options = {"seed": 1, "tile": 32, "tiles_per_crop": 2, "light_share": 0.5, "length": 10}
    pictures = load_photographs(photographs)
    first, second = TileDataset(pictures, **options), TileDataset(pictures, **options)
    expected = [first[i] for i in range(4)]
    for i in (3, 1):
        assert torch.equal(second[i][0], expected[i][0])
        assert torch.equal(second[i][1], expected[i][1])
    assert not torch.equal(expected[0][0], expected[1][0])


def test_pairs_show_the_same_place(photographs):
    dataset = TileDataset(
        load_photographs(photographs),
        seed=0,
        tile=64,
        tiles_per_crop=4,
        light_share=1.0,
        length=8,
    )
    for i in range(8):
        original, enlarged = (t.float() for t in dataset[i])
        assert (original.flip(-1) - enlarged).abs().mean() > (original - enlarged).abs().mean()


def test_shares_say_how_crops_are_degraded(photographs):
    """The draw that chooses is the same, so shares of 1 give each kind on its own."""
    pictures = load_photographs(photographs)

    def first(**shares: float) -> torch.Tensor:
        options = {"seed": 2, "tile": 64, "tiles_per_crop": 1, "length": 8, "light_share": 0.0}
        return TileDataset(pictures, **(options | shares))[0][1]

    paper, once, light = first(), first(once_share=1.0), first(light_share=1.0)
    assert not torch.equal(paper, once) and not torch.equal(once, light)
    assert torch.equal(first(light_share=1.0, once_share=1.0), light)


def test_shares_say_which_crops_are_changed(photographs):
    pictures = load_photographs(photographs)

    def crops(**shares: float) -> torch.Tensor:
        options = {"seed": 4, "tile": 64, "tiles_per_crop": 1, "length": 16, "light_share": 0.5}
        dataset = TileDataset(pictures, **(options | shares))
        return torch.stack([dataset[i][1] for i in range(16)])

    def changed(**shares: float) -> torch.Tensor:
        return (crops(**shares) != plain).flatten(1).any(1)

    plain = crops()
    soft, figures = changed(soft_share=1.0), changed(figures_share=1.0)
    assert soft.any() and figures.any()
    assert not (soft & figures).any()  # the former only where nothing else happens to a crop
    assert not changed(soft_share=0.0, figures_share=0.0).any()


def test_detail_is_sought_but_in_crops_that_are_only_reduced(photographs):
    pictures = load_photographs(photographs)

    def detail(detailed: bool, **shares: float) -> float:
        options = {"seed": 3, "tile": 64, "tiles_per_crop": 4, "length": 8, "light_share": 0.0}
        dataset = TileDataset(pictures, detailed=detailed, **(options | shares))
        tiles = torch.cat([dataset[i][0].float() for i in range(8)])
        return float(tiles.diff(dim=-1).square().mean())

    assert detail(True, once_share=1.0) > 1.1 * detail(False, once_share=1.0)
    assert detail(True, light_share=1.0) == detail(False, light_share=1.0)


def test_bad_recipes_are_refused(tmp_path):
    for text, message in [
        ("seed = 1", "transformer"),
        ("speed = 1\n[transformer]\n", "'speed'"),
        ("[transformer]\nlayers = 2", "'layers'"),
        ("[optimizer]\nstep = 2\n[transformer]\n", "'step'"),
        ('objective = "drawing"\n[transformer]\n', "draw_width"),
    ]:
        path = tmp_path / "recipe.toml"
        path.write_text(text)
        with pytest.raises(UsageError, match=message):
            read_config(path)
    path.write_text("seed = [")
    with pytest.raises(InputError, match="not TOML"):
        read_config(path)
    with pytest.raises(InputError, match="cannot be read"):
        read_config(tmp_path / "none.toml")


def test_folders_without_photographs_are_refused(tmp_path):
    with pytest.raises(InputError, match="no photograph of 256 pixels"):
        load_photographs(tmp_path)
    Image.new("RGB", (300, 300)).save(tmp_path / "a.png")
    (tmp_path / "b.jpg").write_bytes(b"no picture")
    with pytest.raises(InputError, match=r"b\.jpg"):
        load_photographs(tmp_path)


def test_a_damaged_checkpoint_is_said(tmp_path):
    (tmp_path / checkpoint.NAME).write_bytes(b"torn")
    with pytest.raises(InputError, match="damaged checkpoint"):
        checkpoint.load(tmp_path)


def test_the_shipped_recipe_fits_the_shipped_weights():
    from dit4sr_cli.weights.reader import read_state_dict
    from dit4sr_cli.weights.resolve import embedded_dir

    folder = embedded_dir() / "nano"
    networks = Networks(read_config(folder / "train.toml"))
    networks.transformer.load_state_dict(read_state_dict(folder / "transformer"))
    networks.codec.load_state_dict(read_state_dict(folder / "codec"))


def test_the_perceptual_loss_is_heard(photographs, tmp_path):
    pytest.importorskip("stlpips_pytorch")
    model = run(parse_config(REGRESSION), photographs, tmp_path / "first", stop_after=1)
    recipe = parse_config({**DRAWING, "draw": {"perceptual": 0.1}})
    seen = []
    run(recipe, photographs, tmp_path / "heard", initial=model, stop_after=2, observe=seen.append)
    assert all(0 < progress.losses["perceptual"] < 0.1 for progress in seen)


def test_the_rest_learns_along_and_resumes_to_the_bit(photographs, tmp_path):
    model = run(parse_config(REGRESSION), photographs, tmp_path / "first", stop_after=1)
    recipe = parse_config({**DRAWING, "draw": {"joint": 0.5}})
    seen = []
    run(recipe, photographs, tmp_path / "w", initial=model, stop_after=4, observe=seen.append)
    run(recipe, photographs, tmp_path / "p", initial=model, stop_after=2)
    folder = run(recipe, photographs, tmp_path / "p", initial=model, stop_after=4)
    assert {"undrawn", "flow"} <= set(seen[0].losses)
    whole, parts = _tensors(tmp_path / "w"), _tensors(tmp_path / "p")
    assert all(torch.equal(whole[name], parts[name]) for name in whole)
    for part, name in (("transformer", "proj_out.weight"), ("codec", "refine_out.weight")):
        before, after = (
            load_file(place / part / "diffusion_pytorch_model.safetensors")[name]
            for place in (model, folder)
        )
        assert not torch.equal(before, after)
