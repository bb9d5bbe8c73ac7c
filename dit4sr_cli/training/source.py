"""What a run trains on: tiles of photographs made on the fly, or latents that were prepared.

Sample i is a function of the seed and i, so that runs resume, and share a batch, exactly.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Generator, Tensor
from torch.utils.data import Dataset

from dit4sr_cli.core.errors import UsageError
from dit4sr_cli.pipeline.conditioning import Conditioning
from dit4sr_cli.training.config import TrainConfig
from dit4sr_cli.training.data.index import shards_in
from dit4sr_cli.training.data.layout import GT, LATENT_HR, SETTINGS
from dit4sr_cli.training.data.prepared import PreparedDataset, Sample
from dit4sr_cli.training.dataset import TileDataset, load_photographs


@dataclass(frozen=True, slots=True)
class Source:
    """Data of a run.

    Args:
        training: item i of the run, for any i below its length.
        held_out: items that are never trained on.
        null: the text of an empty prompt.
    """

    training: Dataset[dict[str, Tensor]]
    held_out: Dataset[dict[str, Tensor]]
    null: Conditioning


def open_source(config: TrainConfig, folder: Path) -> Source:
    """Photographs, or a folder that `dit4sr data` has prepared.

    Raises:
        InputError: nothing in it can be used.
        UsageError: it is not what the recipe's objective needs.
    """
    if is_prepared(folder):
        return _prepared(config, folder)
    return _photographs(config, folder)


def is_prepared(folder: Path) -> bool:
    """Whether a folder is laid out as training data, not as photographs."""
    named = (SETTINGS, LATENT_HR.folder, GT.folder)
    return any((folder / name).exists() for name in named) or bool(shards_in(folder))


class Tiles(Dataset[dict[str, Tensor]]):
    """Pairs of tiles by name: `original` and `enlarged`, uint8 [tiles, 3, H, W]."""

    def __init__(self, dataset: TileDataset) -> None:
        self._dataset = dataset

    def __len__(self) -> int:
        return len(self._dataset)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        original, enlarged = self._dataset[index]
        return {"original": original, "enlarged": enlarged}


class Epochs(Dataset[dict[str, Tensor]]):
    """Prepared samples without end: each epoch is all of them in an order of its own."""

    def __init__(self, dataset: PreparedDataset, which: range, *, seed: int, length: int) -> None:
        self._dataset, self._which, self._seed, self._length = dataset, which, seed, length
        self._epoch, self._order = -1, torch.empty(0, dtype=torch.long)

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        epoch, place = divmod(index, len(self._which))
        if epoch != self._epoch:
            generator = Generator().manual_seed(self._seed * 1_000_003 + epoch)
            self._order = torch.randperm(len(self._which), generator=generator)
            self._epoch = epoch
        return named(self._dataset[self._which[int(self._order[place])]])


class HeldOut(Dataset[dict[str, Tensor]]):
    """Prepared samples with their pictures, in order."""

    def __init__(self, dataset: PreparedDataset, which: range) -> None:
        self._dataset, self._which = dataset, which

    def __len__(self) -> int:
        return len(self._which)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        place = self._which[index]
        original, enlarged = self._dataset.pictures(place)
        pictures = {"original": original[None], "enlarged": enlarged[None]}
        return {**named(self._dataset[place]), **pictures}


def named(sample: Sample) -> dict[str, Tensor]:
    """A sample's tensors by name, without those that are not there."""
    found = {"latent_hr": sample.latent_hr, "latent_lr": sample.latent_lr}
    if sample.prompt_embeds is not None and sample.pooled_prompt_embeds is not None:
        found["prompt_embeds"] = sample.prompt_embeds
        found["pooled_prompt_embeds"] = sample.pooled_prompt_embeds
    return found


def batched(items: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """Items one above another."""
    return {name: torch.stack([item[name] for item in items]) for name in items[0]}


def _photographs(config: TrainConfig, folder: Path) -> Source:
    if config.start.base or not config.has_block_latents:
        raise UsageError(
            f"{folder}: this recipe trains on latents, and these are not prepared",
            hint="dit4sr data pairs, latents and embeds make them; docs/data.md",
        )
    pictures = load_photographs(folder)
    count, items = config.data.validation_photographs, _items(config)
    return Source(
        Tiles(_tiles(config, pictures[count:], length=items)),
        Tiles(_tiles(config, pictures[:count], length=config.validation.samples)),
        Conditioning.null(config.transformer),
    )


def _prepared(config: TrainConfig, folder: Path) -> Source:
    if config.objective != "flow":
        raise UsageError(
            f"{folder}: prepared latents, and this recipe's objective is {config.objective}",
            hint='set objective = "flow", or name a folder of photographs',
        )
    dataset = PreparedDataset(folder)
    count = min(config.data.validation_photographs, len(dataset) - 1)
    training = Epochs(dataset, range(count, len(dataset)), seed=config.seed, length=_items(config))
    null = dataset.null or Conditioning.null(config.transformer)
    return Source(training, HeldOut(dataset, range(count)), null)


def _items(config: TrainConfig) -> int:
    return config.optimizer.steps * config.optimizer.batch // config.samples_per_item


def _tiles(config: TrainConfig, pictures: Sequence[np.ndarray], *, length: int) -> TileDataset:
    return TileDataset(
        pictures,
        seed=config.seed,
        tile=config.data.tile,
        tiles_per_crop=config.samples_per_item,
        light_share=config.data.light_share,
        once_share=config.data.once_share,
        soft_share=config.data.soft_share,
        figures_share=config.data.figures_share,
        detailed=config.data.detailed,
        length=length,
    )
