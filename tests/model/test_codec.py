import torch

from dit4sr_cli.model.codec import BlockCodec, CodecConfig


def _images():
    return torch.rand(2, 3, 40, 24, generator=torch.Generator().manual_seed(0)) * 2 - 1


def test_without_refinement_nothing_is_lost():
    codec = BlockCodec(CodecConfig(refine_width=0))
    torch.testing.assert_close(codec.decode(codec.encode(_images())), _images())


def test_refinement_starts_as_nothing():
    codec = BlockCodec(CodecConfig())
    torch.testing.assert_close(codec.decode(codec.encode(_images())), _images())


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
