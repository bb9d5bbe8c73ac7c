import torch

from dit4sr_cli.model.codec import BlockCodec, CodecConfig
from dit4sr_cli.pipeline import latents


def test_windows_give_the_whole_picture(monkeypatch):
    torch.manual_seed(0)
    codec = BlockCodec(CodecConfig()).requires_grad_(False)
    torch.nn.init.normal_(codec.refine_out.weight, std=0.1)
    image = torch.rand(3, 8 * 11, 8 * 14) * 2 - 1
    whole = latents.encode(codec, image, device=torch.device("cpu"))
    picture = latents.decode(codec, whole)
    monkeypatch.setattr(latents, "WINDOW", 4)
    torch.testing.assert_close(latents.encode(codec, image, device=torch.device("cpu")), whole)
    torch.testing.assert_close(latents.decode(codec, whole), picture, rtol=0, atol=1e-5)
    assert not torch.allclose(picture, image, atol=1e-2)
