"""The parts of a model, whatever its size: transformer, codec and text encoders.

Each is read when it is first used. Where memory is short only the one in use is on the device.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Generic, Protocol, TypeAlias, TypeVar

import torch
from torch import Tensor
from typing_extensions import Self

from dit4sr_cli.core.types import Quantize
from dit4sr_cli.model.config import TransformerConfig
from dit4sr_cli.pipeline import memory
from dit4sr_cli.pipeline.conditioning import Conditioning
from dit4sr_cli.pipeline.predictor import Network
from dit4sr_cli.weights.spec import ModelSpec


class Encoder(Protocol):
    """Texts to their conditionings, on the CPU."""

    def __call__(self, texts: Sequence[str]) -> list[Conditioning]:
        """Encode texts."""

    def knows(self, texts: Sequence[str]) -> bool:
        """Whether these texts can be had without reading an encoder."""


class Codec(Protocol):
    """Images [B, 3, H, W] in -1..1 to latents [B, C, H/8, W/8], shifted and scaled, and back."""

    downscale: int
    channels: int
    margin: int
    """Latent cells around a window that its decoding depends on."""
    feather: int
    """Latent cells over which neighbouring windows fade into each other; 0: they agree exactly."""

    def encode(self, images: Tensor) -> Tensor:
        """Latents of images."""

    def decode(self, latents: Tensor) -> Tensor:
        """Images of latents."""

    def to(self, device: torch.device) -> Self:
        """Move it."""


class _Movable(Protocol):
    def to(self, device: torch.device) -> object: ...


T = TypeVar("T", bound=_Movable)
Load: TypeAlias = Callable[[], T]


class Part(Generic[T]):
    """One network: read when it is first used; where it then stays, `stays` says."""

    def __init__(self, load: Load[T], device: torch.device, *, stays: bool = True) -> None:
        self._load, self._device, self._stays = load, device, stays
        self._network: T | None = None

    @contextmanager
    def in_use(self) -> Iterator[T]:
        """The network on its device; afterwards it makes room, unless it stays."""
        if self._network is None:
            self._network = self._load()
            memory.trim(self._device)
        elif not self._stays:
            self._network.to(self._device)
        try:
            yield self._network
        finally:
            memory.return_pages()
            memory.trim(self._device)
            if not self._stays and self._network is not None:
                self._network.to(torch.device("cpu"))
                memory.release(self._device)

    def release(self) -> None:
        """Forget the network; it is read again when it is used again."""
        self._network = None
        memory.release(self._device)


@dataclass(frozen=True, slots=True)
class Components:
    """A model ready to run, in one precision; `wider` is the same model in a wider one."""

    spec: ModelSpec
    config: TransformerConfig
    transformer: Part[Network]
    codec: Part[Codec]
    encode_text: Encoder
    device: torch.device
    dtype: torch.dtype
    wider: Callable[[], Components | None]
    streams: bool = False
    """Whether the transformer's blocks are read one by one."""
    plain: bool = False
    """Whether it is computed as it was published, a tile at a time; for comparison."""
    quantize: Quantize = Quantize.NONE
    """In how many bits the transformer's matrices are held."""
