import pytest
import torch
from helpers.tiny_recipe import DRAWING
from torch import Generator
from torch.nn.functional import avg_pool2d, interpolate

from dit4sr_cli.training.adversary import NOISE, Adversary
from dit4sr_cli.training.config import parse_config
from dit4sr_cli.training.drawing import Drawing
from dit4sr_cli.training.networks import Networks
from dit4sr_cli.training.objective import parameter_groups
from dit4sr_cli.training.share import Share

RECIPE = {
    **DRAWING,
    "draw": {"adversarial": 0.01, "window": 32},
}


def _photographs(count, seed, side=32):
    """Textured pictures, and what is left of them after a reduction."""
    sharp = torch.rand(count, 3, side, side, generator=Generator().manual_seed(seed))
    sharp = interpolate(avg_pool2d(sharp, 2), scale_factor=2.0, mode="bilinear")
    return sharp, interpolate(avg_pool2d(sharp, 4), scale_factor=4.0, mode="bicubic")


def _generators(count, seed=0):
    return [Generator().manual_seed(seed * 100 + i) for i in range(count)]


def test_each_loss_is_for_one_side_alone():
    adversary, (original, enlarged) = Adversary(0), _photographs(2, 1)
    drawn = enlarged.clone().requires_grad_(True)
    own, judged = adversary.losses(drawn, original, enlarged, _generators(2))
    assert own.shape == judged.shape == (2,)
    own.sum().backward()
    assert drawn.grad is None
    assert all(weight.grad.abs().max() > 0 for weight in adversary.parameters())
    adversary.zero_grad()
    judged.sum().backward()
    assert drawn.grad.abs().max() > 0
    assert all(weight.grad is None for weight in adversary.parameters())


def test_it_learns_to_tell_soft_from_sharp_and_says_where_to_go():
    adversary = Adversary(0)
    optimizer = torch.optim.AdamW(adversary.parameters(), lr=2e-3, betas=(0.5, 0.99))
    for step in range(40):
        original, enlarged = _photographs(4, step)
        own, _ = adversary.losses(enlarged, original, enlarged, _generators(4, step))
        optimizer.zero_grad()
        own.mean().backward()
        optimizer.step()
    original, enlarged = _photographs(8, 999)
    drawn = enlarged.clone().requires_grad_(True)
    own, judged = adversary.losses(drawn, original, enlarged, _generators(8, 999))
    assert own.mean() < 1  # of a network that knows nothing it is 2
    judged.sum().backward()
    with torch.no_grad():
        _, better = adversary.losses(
            drawn - 0.05 * drawn.grad.sign(), original, enlarged, _generators(8, 999)
        )
    assert (better < judged).all()


def test_spectral_norms_are_one_and_the_noise_is_each_samples_own():
    adversary, (original, enlarged) = Adversary(0), _photographs(3, 2)
    with torch.no_grad():
        for _ in range(30):
            adversary(original, enlarged, _generators(3))
    weights = [m.weight.flatten(1) for m in adversary.modules() if isinstance(m, torch.nn.Conv2d)]
    assert len(weights) == 7
    for weight in weights:
        assert float(torch.linalg.matrix_norm(weight.detach(), 2)) == pytest.approx(1, abs=0.02)
    adversary.eval()
    with torch.no_grad():
        scores = adversary(original, enlarged, _generators(3))
        alone = adversary(original[1:2], enlarged[1:2], _generators(3)[1:2])
        other = adversary(original, enlarged, _generators(3, seed=1))
    assert scores.shape == (3, 1, 8, 8) and NOISE > 0
    torch.testing.assert_close(scores[1:2], alone)
    assert not torch.allclose(scores, other)


def test_losses_are_the_same_however_many_share_the_batch():
    torch.manual_seed(0)
    config = parse_config(RECIPE)
    drawing = Drawing(Networks(config), config)
    drawing.adversary.eval()  # the power iteration would go on between the calls
    original, enlarged = (torch.stack(p.split(1)) * 255 for p in _photographs(4, 3))
    batch = {"original": original, "enlarged": enlarged}
    whole = drawing(batch, Share(4, 1, 0), 0)
    halves = [
        drawing({name: t[2 * i : 2 * i + 2] for name, t in batch.items()}, Share(4, 2, i), 0)
        for i in range(2)
    ]
    assert halves[0]["adversary"] == 0 and halves[1]["adversary"] > 0
    for name in ("adversary", "adversarial"):
        torch.testing.assert_close(sum(half[name] for half in halves) / 2, whole[name])


def test_it_learns_at_its_own_share_of_the_rate():
    config = parse_config({**RECIPE, "draw": {"adversarial": 0.01, "adversary": 0.3}})
    drawing = Drawing(Networks(config), config)
    group = parameter_groups(drawing, config)[-1]
    assert group["share"] == 0.3
    assert {id(p) for p in group["params"]} == {id(p) for p in drawing.adversary.parameters()}
    without = parse_config({**RECIPE, "draw": {}})
    assert Drawing(Networks(without), without).adversary is None
