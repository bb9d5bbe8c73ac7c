import pytest
import torch
from helpers import tiny_published

from dit4sr_cli.model.codec import BlockCodec, CodecConfig
from dit4sr_cli.pipeline import latents
from dit4sr_cli.pipeline.vae import VaeCodec


@pytest.mark.parametrize("draw_width", [0, 8])
def test_windows_give_the_whole_picture(draw_width, monkeypatch):
    torch.manual_seed(0)
    config = CodecConfig(draw_width=draw_width, draw_blocks=1, draw_fine=8)
    codec = BlockCodec(config).requires_grad_(False)
    torch.nn.init.normal_(codec.refine_out.weight, std=0.1)
    if draw_width:
        torch.nn.init.normal_(codec.draw.tail.weight, std=0.1)
    image = torch.rand(3, 8 * 11, 8 * 14) * 2 - 1
    whole = latents.encode(codec, image, device=torch.device("cpu"))
    picture = latents.decode(codec, whole)
    monkeypatch.setattr(latents, "WINDOW", 4)
    torch.testing.assert_close(latents.encode(codec, image, device=torch.device("cpu")), whole)
    torch.testing.assert_close(latents.decode(codec, whole), picture, rtol=0, atol=1e-5)
    assert not torch.allclose(picture, image, atol=1e-2)


def test_windows_cover_the_grid_once_and_evenly():
    for height, width in ((1, 1), (128, 128), (129, 300), (7, 1000)):
        seen = torch.zeros(height, width)
        sides = set()
        for inner, outer in latents.windows(height, width, 128, 10):
            seen[inner.y : inner.y + inner.height, inner.x : inner.x + inner.width] += 1
            sides.add(inner.width)
            assert outer.x == max(0, inner.x - 10) and outer.y == max(0, inner.y - 10)
            assert outer.x + outer.width == min(width, inner.x + inner.width + 10)
        assert (seen == 1).all()
        assert max(sides) <= 128 and max(sides) - min(sides) <= 1


def test_fades_of_neighbours_add_up_to_one(monkeypatch):
    class Ones:
        """A codec that makes ones of anything."""

        downscale, channels, margin, feather = 8, 16, 12, 8

        def encode(self, images):
            return torch.ones(1, 16, images.shape[-2] // 8, images.shape[-1] // 8)

        def decode(self, z):
            return torch.ones(1, 3, 8 * z.shape[-2], 8 * z.shape[-1])

    cpu = torch.device("cpu")
    made = latents.encode(Ones(), torch.zeros(3, 8 * 61, 8 * 90), device=cpu, window=20)
    torch.testing.assert_close(made, torch.ones(1, 16, 61, 90))
    image = latents.decode(Ones(), made, window=20)
    torch.testing.assert_close(image, torch.ones(3, 8 * 61, 8 * 90))


def test_no_seam_on_a_plain_sky_where_windows_disagree(monkeypatch):
    """Group norm sees the whole window: here a bright half and a dark half."""
    with torch.random.fork_rng():
        torch.manual_seed(5)
        codec = VaeCodec(tiny_published.tiny_vae().requires_grad_(False))
    y, x = torch.meshgrid(torch.linspace(-1, 1, 512), torch.linspace(-1, 1, 1024), indexing="ij")
    sky = torch.stack([x, y * 0.3, (x + y) / 2])
    z = latents.encode(codec, sky, device=torch.device("cpu"), window=128)
    whole = latents.decode(codec, z, window=128)

    def step_at_the_border():
        """Of what windows change: at the border, and the median elsewhere."""
        change = latents.decode(codec, z, window=64) - whole
        steps = (change[..., 1:] - change[..., :-1]).abs().mean((0, 1))
        return float(steps[511]), float(steps[300:700].median())

    at_border, elsewhere = step_at_the_border()
    assert at_border < 1.1 * elsewhere
    monkeypatch.setattr(codec, "feather", 0)
    at_border, elsewhere = step_at_the_border()
    assert at_border > 10 * elsewhere  # so it looks without fades: the test can fail
