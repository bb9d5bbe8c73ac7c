"""The full-width model on CUDA and MPS, as far as that can be told without either."""

from __future__ import annotations

import pytest
import torch
from diffusers import AutoencoderKL
from helpers.fake_device import DEVICE, fake_device, put

from dit4sr_cli.model.config import TransformerConfig
from dit4sr_cli.model.prepared import Prepared
from dit4sr_cli.model.transformer import MMDiTControl
from dit4sr_cli.pipeline import denoise as denoise_module
from dit4sr_cli.pipeline import latents as latents_module
from dit4sr_cli.pipeline.conditioning import Conditioning
from dit4sr_cli.pipeline.denoise import denoise
from dit4sr_cli.pipeline.device import limits_of
from dit4sr_cli.pipeline.vae import VaeCodec
from dit4sr_cli.tiles.grid import Tiling

WIDE = TransformerConfig(num_layers=3, dual_attention_layers=(0,))
"""As wide as the published one; depth makes no tensor larger."""
SD3_VAE = {
    "block_out_channels": (128, 256, 512, 512),
    "down_block_types": ("DownEncoderBlock2D",) * 4,
    "up_block_types": ("UpDecoderBlock2D",) * 4,
    "layers_per_block": 2,
    "latent_channels": 16,
    "scaling_factor": 1.5305,
    "shift_factor": 0.0609,
    "use_quant_conv": False,
    "use_post_quant_conv": False,
}


@pytest.fixture(autouse=True)
def _no_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    """The schedule is the host's business, and what is not computed cannot overflow."""
    table = torch.tensor([1.0, 0.5, 0.0])

    class Table:
        def tolist(self) -> list[float]:
            return [1.0, 0.5, 0.0]

    assert denoise_module.sigmas(2, 1.0).shape == table.shape
    monkeypatch.setattr(denoise_module, "sigmas", lambda steps, shift: Table())
    monkeypatch.setattr(denoise_module, "_are_finite", lambda latents: True)


def _text() -> Conditioning:
    return Conditioning(torch.empty(1, 333, 4096), torch.empty(1, 2048))


@pytest.mark.parametrize(
    ("device", "dtype"),
    [("cuda", torch.bfloat16), ("cuda", torch.float16), ("mps", torch.float16)],
)
@pytest.mark.parametrize("is_plain", [True, False])
def test_sampling_stays_on_the_device_and_within_its_limits(
    device: str, dtype: torch.dtype, is_plain: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    with torch.device("meta"):
        network = MMDiTControl(WIDE)
    with fake_device(device, monkeypatch) as seen:
        transformer = put(network, dtype)
        if not is_plain:
            transformer = Prepared.of(transformer, WIDE)
        lr = torch.empty(1, 16, 80, 100, device=DEVICE)
        made = denoise(
            transformer,
            lr,
            torch.empty(1, 16, 80, 100),
            positive=_text(),
            negative=_text(),
            steps=2,
            guidance=8.0,
            tiling=Tiling(64, 24),
            batch=4,
        )
    assert (made.device.type, made.dtype, made.shape) == (DEVICE, torch.float32, lr.shape)
    assert dtype in seen.dtypes
    assert torch.float64 not in seen.dtypes
    assert seen.operations > 100


def test_batches_on_mps_keep_the_attention_matrix_small_enough(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sizes = []
    real = MMDiTControl.forward

    def forward(self, noisy, *rest):
        sizes.append(len(noisy))
        return real(self, noisy, *rest)

    monkeypatch.setattr(MMDiTControl, "forward", forward)
    with torch.device("meta"):
        network = MMDiTControl(WIDE)
    with fake_device("mps", monkeypatch):
        transformer = put(network, torch.float16)
        lr = torch.empty(1, 16, 128, 128, device=DEVICE)
        noise = torch.empty(1, 16, 128, 128)
        text = _text()
        halves = {"positive": text, "negative": text}
        denoise(transformer, lr, noise, **halves, steps=2, tiling=Tiling(128, 24))
    tokens = 2 * 64 * 64 + 333
    limit = limits_of(torch.device("mps")).max_elements
    assert limit is not None
    assert sizes and all(size * WIDE.num_attention_heads * tokens**2 <= limit for size in sizes)


@pytest.mark.parametrize("device", ["cuda", "mps"])
def test_the_vae_works_in_windows_that_the_device_can_hold(
    device: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with torch.device("meta"):
        vae = AutoencoderKL(**SD3_VAE)
    side = limits_of(torch.device(device)).window
    with fake_device(device, monkeypatch) as seen:
        codec = VaeCodec(put(vae, torch.float32))
        image = torch.empty(3, 2048, 1536)
        made = latents_module.encode(codec, image, device=torch.device(DEVICE), window=side)
        again = latents_module.decode(codec, made, window=side)
    assert (made.device.type, made.shape) == (DEVICE, (1, 16, 256, 192))
    assert (again.device.type, again.shape) == ("cpu", image.shape)
    assert seen.dtypes <= {torch.float32, torch.int64, torch.bool}
    assert seen.largest < 1 << 30
