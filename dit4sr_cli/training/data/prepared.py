"""Reads what `dit4sr data` has prepared, for training: latents and embeddings, sample by sample.

Folders and shards are read alike, and the released code's own folders, whose tensors are `.pt`.
Shapes: C latent channels, h w latent cells, M text tokens, D their channels, P pooled channels.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.utils.data import Dataset

from dit4sr_cli.core.errors import InputError
from dit4sr_cli.pipeline.conditioning import Conditioning
from dit4sr_cli.training.data.files import pixels_of, tensor_of
from dit4sr_cli.training.data.index import HOW_TO_BEGIN, Index, Place, index_of
from dit4sr_cli.training.data.layout import (
    GT,
    LATENT_HR,
    LATENT_LR,
    NULL,
    POOLED,
    PROMPT_EMBEDS,
    RELEASED_NULL,
    RELEASED_SUFFIX,
    SR_BICUBIC,
    Kind,
)

_DIMENSIONS = {LATENT_HR: 3, LATENT_LR: 3, PROMPT_EMBEDS: 2, POOLED: 1}


@dataclass(frozen=True, slots=True)
class Sample:
    """What a training step needs of one pair, all float32.

    Args:
        latent_hr: of the photograph's crop, [C, h, w].
        latent_lr: of its LR picture, enlarged, [C, h, w].
        prompt_embeds: of its caption, [M, D]; None where the folder has no embeddings.
        pooled_prompt_embeds: their pooled form, [P]; None where the folder has no embeddings.
    """

    latent_hr: Tensor
    latent_lr: Tensor
    prompt_embeds: Tensor | None
    pooled_prompt_embeds: Tensor | None


class PreparedDataset(Dataset[Sample]):
    """All samples of a folder, in the order of their names.

    `null` is the empty prompt's conditioning, [1, M, D] and [1, P]; None where there is none.
    """

    names: list[str]
    null: Conditioning | None

    def __init__(self, folder: Path) -> None:
        """Find the samples.

        Raises:
            InputError: there are none, or some are not prepared; says what to run first.
        """
        self._folder = folder
        self._index = index_of(folder)
        self.names = _prepared(self._index, folder)
        self.null = _null(folder)

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, index: int) -> Sample:
        name = self.names[index]
        has_text = bool(self._index[PROMPT_EMBEDS])
        return Sample(
            self._tensor(LATENT_HR, name),
            self._tensor(LATENT_LR, name),
            self._tensor(PROMPT_EMBEDS, name) if has_text else None,
            self._tensor(POOLED, name) if has_text else None,
        )

    def pictures(self, index: int) -> tuple[Tensor, Tensor]:
        """The HR crop and the enlarged LR picture, uint8 [3, H, W].

        Raises:
            InputError: one of them is not there, or damaged.
        """
        name = self.names[index]
        return self._picture(GT, name), self._picture(SR_BICUBIC, name)

    def _tensor(self, kind: Kind, name: str) -> Tensor:
        return _read(self._index[kind][name], kind)

    def _picture(self, kind: Kind, name: str) -> Tensor:
        place = self._index[kind].get(name)
        if place is None:
            raise InputError(f"{self._folder}: no {kind.folder}/{name}{kind.suffix}")
        return torch.from_numpy(pixels_of(place.read(), place.name)).permute(2, 0, 1)


def _read(place: Place, kind: Kind) -> Tensor:
    tensor = tensor_of(place.read(), kind.tensor, place.suffix, place.name).float()
    if tensor.ndim == _DIMENSIONS[kind] + 1 and tensor.shape[0] == 1:
        tensor = tensor[0]  # some of the released scripts keep the batch's dimension
    if tensor.ndim != _DIMENSIONS[kind]:
        raise InputError(f"{place.name}: {tensor.ndim} dimensions, not {_DIMENSIONS[kind]}")
    return tensor


def _prepared(index: Index, folder: Path) -> list[str]:
    """The names of all samples, once each is known to have what the others have."""
    pairs = index[GT].keys() | index[LATENT_HR].keys() | index[LATENT_LR].keys()
    if not pairs:
        raise InputError(f"{folder}: no training pairs in it", hint=HOW_TO_BEGIN)
    for kinds, command in (
        ((LATENT_HR, LATENT_LR), "latents"),
        ((PROMPT_EMBEDS, POOLED), "embeds"),
    ):
        if command == "embeds" and not any(index[kind] for kind in kinds):
            continue  # for a model without text
        lacking = sorted(name for name in pairs if any(name not in index[k] for k in kinds))
        if lacking:
            raise InputError(
                f"{folder}: {len(lacking)} of {len(pairs)} pairs have no {command}"
                f" ({', '.join(lacking[:3])}{', ...' if len(lacking) > 3 else ''})",
                hint=f"run: dit4sr data {command} {folder} --model NAME",
            )
    return sorted(pairs)


def _null(folder: Path) -> Conditioning | None:
    """The empty prompt's conditioning: in one file of ours, or in two of the released code's."""
    ours = folder / NULL
    tensors: list[Tensor] = []
    for kind in (PROMPT_EMBEDS, POOLED):
        released = folder / kind.folder / f"{RELEASED_NULL}{kind.folder}{RELEASED_SUFFIX}"
        path = ours if ours.is_file() else released
        if not path.is_file():
            return None
        tensors.append(_read(Place(path, str(path)), kind)[None])
    return Conditioning(*tensors)
