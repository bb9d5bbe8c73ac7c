import torch

from dit4sr_cli.model.codec import BlockCodec, CodecConfig
from dit4sr_cli.model.draw import STRIP, Draw


def _images():
    return torch.rand(2, 3, 40, 24, generator=torch.Generator().manual_seed(0)) * 2 - 1


def _drawing(blocks):
    torch.manual_seed(0)
    draw = Draw(8, blocks, 8)
    torch.nn.init.normal_(draw.tail.weight, std=0.1)
    return draw


def test_without_refinement_nothing_is_lost():
    codec = BlockCodec(CodecConfig(refine_width=0))
    torch.testing.assert_close(codec.decode(codec.encode(_images())), _images())


def test_refinement_starts_as_nothing():
    codec = BlockCodec(CodecConfig())
    torch.testing.assert_close(codec.decode(codec.encode(_images())), _images())


def test_drawing_starts_as_nothing():
    codec = BlockCodec(CodecConfig(draw_width=8, draw_blocks=2, draw_fine=8))
    torch.testing.assert_close(codec.decode(codec.encode(_images())), _images())


def test_codecs_without_a_drawing_stage_load_as_before():
    codec = BlockCodec(CodecConfig(scaling_factor=10.0, refine_width=8))
    assert codec.margin == 2
    assert not any(key.startswith("draw") for key in codec.state_dict())


def test_drawing_sees_no_further_than_its_reach():
    draw = _drawing(blocks=1)
    picture = torch.rand(1, 3, 16, 128)
    other = picture.clone()
    other[..., 3] = -other[..., 3]
    changed = (draw(other) - draw(picture)).abs().amax((0, 1, 2)) > 0
    assert draw.reach - 4 < changed.nonzero().max() - 3 <= draw.reach


def test_what_is_drawn_in_strips_is_what_is_drawn_at_once():
    draw = _drawing(blocks=1)
    picture = torch.rand(1, 3, 2 * STRIP + 24, 40) * 2 - 1
    with torch.no_grad():
        strips = draw(picture)
    torch.testing.assert_close(strips, draw(picture).detach())


def test_drawing_has_no_place_of_its_own():
    """Moved by a cell, a picture is drawn the same, moved by a cell."""
    draw = _drawing(blocks=1)
    picture = torch.rand(1, 3, 96, 96)
    drawn, moved = draw(picture), draw(picture[..., 4:, 4:])
    inner = draw.reach
    torch.testing.assert_close(
        drawn[..., 4 + inner : -inner, 4 + inner : -inner],
        moved[..., inner:-inner, inner:-inner],
    )


def test_what_cells_say_alike_is_drawn_without_a_grid():
    """Of a flat picture every pixel inside is drawn alike: no weight knows its place in a cell."""
    drawn = _drawing(blocks=1)(torch.full((1, 3, 128, 128), 0.3))
    inside = drawn[..., 40:-40, 40:-40]
    assert (drawn - 0.3).abs().max() > 1e-3
    torch.testing.assert_close(inside, inside[..., :1, :1].expand_as(inside))


def test_coefficients_are_an_orthonormal_transform():
    codec = BlockCodec(CodecConfig(scaling_factor=1.0, refine_width=0))
    latents = codec.encode(_images())
    assert latents.shape == (2, 192, 5, 3)
    torch.testing.assert_close(latents.square().sum(), _images().square().sum())
    flat = codec.encode(torch.full((1, 3, 8, 8), 0.5))
    assert flat.abs().flatten().argmax() == 0
    torch.testing.assert_close(flat.flatten()[0], torch.tensor(0.5 * 192**0.5))


def test_decoding_sees_no_further_than_its_margin():
    torch.manual_seed(0)
    codec = BlockCodec(CodecConfig())
    torch.nn.init.normal_(codec.refine_out.weight, std=0.1)
    latents = codec.encode(torch.rand(1, 3, 64, 64))
    other = latents.clone()
    other[..., 0] += 10
    changed = (codec.decode(other) - codec.decode(latents)).abs().amax((0, 1, 2)) > 1e-6
    assert changed.nonzero().max() < 8 * (1 + codec.margin)
    assert changed[8 * codec.margin]
