"""Shapes of transformers that are measured with random weights: by name, or from a config."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from dit4sr_cli.core.errors import ModelError, UsageError
from dit4sr_cli.model.config import TransformerConfig
from dit4sr_cli.weights.files import read_json

CLIP_TOKENS, T5_TOKENS, SHORT_T5_TOKENS = 77, 256, 77


@dataclass(frozen=True, slots=True)
class Architecture:
    """A transformer's shape, and how many tokens of text it is given."""

    name: str
    config: TransformerConfig
    text_tokens: int


FULL = Architecture(
    "full",
    TransformerConfig(dual_attention_layers=tuple(range(13))),
    CLIP_TOKENS + T5_TOKENS,
)
SMALL = Architecture(
    "small",
    TransformerConfig(
        num_layers=6,
        num_attention_heads=6,
        caption_projection_dim=384,
        pos_embed_max_size=192,
        dual_attention_layers=(0, 1),
    ),
    CLIP_TOKENS + SHORT_T5_TOKENS,
)
NAMED = {one.name: one for one in (FULL, SMALL)}


def architecture_of(word: str) -> Architecture:
    """`full`, `small`, a `config.json`, or the folder of a model or of its transformer.

    Raises:
        UsageError: there is no such thing.
        ModelError: the config is damaged, or of another architecture.
    """
    if word in NAMED:
        return NAMED[word]
    path = _file_of(Path(word))
    try:
        config = TransformerConfig.from_dict(read_json(path))
    except (TypeError, ValueError) as error:
        raise ModelError(f"{path}: {error}") from error
    return Architecture(word, config, CLIP_TOKENS + T5_TOKENS)


def _file_of(path: Path) -> Path:
    places = [path, path / "config.json", path / "transformer" / "config.json"]
    for place in places:
        if place.is_file():
            return place
    raise UsageError(
        f"--random-weights {path}: neither {' nor '.join(NAMED)}, nor a file or folder",
        hint="name a config.json, or the folder of a model",
    )
