"""A model of random weights, with a codec and a text encoder that cost nothing."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, interpolate
from typing_extensions import Self

from dit4sr_cli.bench.architecture import Architecture
from dit4sr_cli.core.errors import UsageError
from dit4sr_cli.core.settings import ModelSettings
from dit4sr_cli.core.sizes import MULTIPLE
from dit4sr_cli.core.types import ColorFix, Quantize
from dit4sr_cli.model.config import TransformerConfig
from dit4sr_cli.model.prepared import Prepared
from dit4sr_cli.pipeline import memory
from dit4sr_cli.pipeline.components import Components, Part
from dit4sr_cli.pipeline.conditioning import Conditioning
from dit4sr_cli.pipeline.device import check_quantize, pick_device, pick_dtype
from dit4sr_cli.pipeline.predictor import Network
from dit4sr_cli.weights.spec import ModelSpec
from dit4sr_cli.weights.transformer import Transformer

_POOL = 1 << 22
"""Numbers that are drawn: billions of them would take longer than what is to be measured."""


class FreeCodec:
    """Means of pixels as latents, and back; keeps the latents that were decoded."""

    downscale, margin, feather = MULTIPLE, 0, 0

    def __init__(self, channels: int) -> None:
        self.channels = channels
        self._decoded: list[Tensor] = []

    def encode(self, images: Tensor) -> Tensor:
        """Every channel is one of the three colours."""
        means = avg_pool2d(images, MULTIPLE)
        return means[:, torch.arange(self.channels, device=images.device) % 3]

    def decode(self, latents: Tensor) -> Tensor:
        """The first channels, enlarged."""
        self._decoded.append(latents.float().cpu().flatten())
        colours = latents[:, torch.arange(3, device=latents.device) % self.channels]
        return interpolate(colours, scale_factor=MULTIPLE)

    def to(self, device: torch.device) -> Self:
        """There is nothing to move."""
        return self

    def clear(self) -> None:
        """Forget what was decoded."""
        self._decoded = []

    def decoded(self) -> Tensor:
        """All latents that were decoded since then, as one vector."""
        return torch.cat(self._decoded)


class _RandomText:
    """Any text is the same random embedding, its own for each place in the list."""

    def __init__(self, architecture: Architecture) -> None:
        config, generator = architecture.config, torch.Generator().manual_seed(1)
        shape = (1, architecture.text_tokens, config.joint_attention_dim)
        self._all = [
            Conditioning(
                torch.randn(shape, generator=generator),
                torch.randn(1, config.pooled_projection_dim, generator=generator),
            )
            for _ in range(2)
        ]

    def __call__(self, texts: Sequence[str]) -> list[Conditioning]:
        return [self._all[i % 2] for i in range(len(texts))]

    def knows(self, texts: Sequence[str]) -> bool:
        return True


def components(
    architecture: Architecture, settings: ModelSettings, codec: FreeCodec, *, plain: bool = False
) -> Components:
    """A model that is ready to run; its weights are drawn when they are first used.

    Raises:
        UsageError: the device is not there or cannot do it, or weights are to be read one by one.
    """
    if settings.low_memory:
        raise UsageError("random weights are in no file: --low-memory cannot read them")
    device = pick_device(settings.device)
    quantize = settings.quantize
    check_quantize(quantize, device, plain=plain)
    dtype = pick_dtype(settings.precision, device)
    if device.type == "cpu":
        memory.return_pages()
    return Components(
        spec=ModelSpec(
            name=f"random:{architecture.name}",
            steps=1,
            color_fix=ColorFix.NONE,
            process_size=0,
            min_cells=architecture.config.patch_size,
        ),
        config=architecture.config,
        transformer=Part(
            lambda: random_network(architecture.config, device, dtype, quantize, plain=plain),
            device,
        ),
        codec=Part(lambda: codec, device),
        encode_text=_RandomText(architecture),
        device=device,
        dtype=dtype,
        wider=lambda: None,
        plain=plain,
        quantize=quantize,
    )


def random_network(
    config: TransformerConfig,
    device: torch.device,
    dtype: torch.dtype,
    quantize: Quantize = Quantize.NONE,
    *,
    plain: bool,
) -> Network:
    """The network with weights of a trained one's size, the same every time and in both forms."""
    if not plain:
        return Prepared(config, drawing(config, device, dtype), quantize).eval()
    with torch.device("meta"):
        model = Transformer(config)
    model.load_state_dict(drawing(config, device, dtype)(""), strict=True, assign=True)
    return model.requires_grad_(False).eval()


def drawing(
    config: TransformerConfig, device: torch.device, dtype: torch.dtype
) -> Callable[[str], dict[str, Tensor]]:
    """What stands for a file: gives the weights whose names begin so, by the rest of the names."""
    with torch.device("meta"):
        shapes = {name: t.shape for name, t in Transformer(config).state_dict().items()}
    pool = torch.randn(_POOL, generator=torch.Generator().manual_seed(0)).to(dtype)

    def state(start: str) -> dict[str, Tensor]:
        return {
            name.removeprefix(start): _drawn(pool, shape, place).to(device)
            for place, (name, shape) in enumerate(shapes.items())
            if name.startswith(start)
        }

    return state


def _drawn(pool: Tensor, shape: torch.Size, place: int) -> Tensor:
    """Numbers from the pool, from another start for each place."""
    count, start = math.prod(shape), place * 7919 % (_POOL // 2)
    rest = pool[start:]
    some = rest[:count] if count <= len(rest) else rest.repeat(-(-count // len(rest)))[:count]
    return (some * (shape[-1] ** -0.5 if len(shape) > 1 else 0.1)).reshape(shape)
