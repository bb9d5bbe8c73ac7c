import pytest
import torch
from helpers import parity

from dit4sr_cli import Conditioning, Tiling, Transformer, denoise
from dit4sr_cli.core.events import Advanced, PhaseStarted


def _case(name):
    settings, t = parity.table(f"denoise/{name}"), parity.tensors(f"denoise/{name}")
    wiring = settings["transformer"].removeprefix("transformer_")
    transformer = Transformer.from_folder(parity.FOLDER / settings["transformer"], wiring=wiring)
    arguments = {
        "positive": Conditioning(t["prompt_embeds"], t["pooled_prompt_embeds"]),
        "negative": Conditioning(t["negative_prompt_embeds"], t["negative_pooled_prompt_embeds"]),
        "steps": settings["steps"],
        "guidance": settings["guidance_scale"],
        "start": settings["start_point"],
        "shift": settings["scheduler"]["shift"],
        "tiling": Tiling(settings["tile"], settings["overlap"], grid="reference"),
    }
    return transformer, t, arguments


@pytest.mark.parametrize("name", ["untiled", "tiled", "tiled_r1_lr_start"])
@pytest.mark.parametrize("batch", [1, 4])
def test_latents_are_the_released_ones(name, batch):
    transformer, t, arguments = _case(name)
    out = denoise(transformer, t["lr_latents"], t["noise"], **arguments, batch=batch)
    assert (out - t["latents"]).abs().max() <= 2e-3


def test_guidance_of_one_skips_the_negative_half():
    transformer, t, arguments = _case("untiled")
    arguments |= {"guidance": 1.0}
    with_negative = denoise(transformer, t["lr_latents"], t["noise"], **arguments)
    arguments |= {"negative": None}
    without = denoise(transformer, t["lr_latents"], t["noise"], **arguments)
    assert torch.equal(with_negative, without)


def test_guidance_without_a_negative_is_refused():
    transformer, t, arguments = _case("untiled")
    arguments |= {"negative": None}
    with pytest.raises(ValueError, match="negative"):
        denoise(transformer, t["lr_latents"], t["noise"], **arguments)


def test_every_tile_of_every_step_is_reported():
    transformer, t, arguments = _case("tiled")
    events = []
    denoise(transformer, t["lr_latents"], t["noise"], **arguments, observe=events.append)
    assert events[0] == PhaseStarted("sampling", total=4 * 8)
    assert [event.done for event in events[1:]] == list(range(1, 33))
    assert all(isinstance(event, Advanced) for event in events[1:])
