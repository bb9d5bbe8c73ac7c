"""Embeddings of the captions, and of the empty prompt, by a model's own text encoders.

The text is the caption alone: the words on quality that follow it at inference are not trained on.
In training T5 reads 77 tokens, so there are 154 with CLIP's. The text that a file's embeddings are
of stands in its header, and one whose caption has changed since is made again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import torch

from dit4sr_cli.captions.source import one_line
from dit4sr_cli.core import events
from dit4sr_cli.core.errors import InputError, UsageError
from dit4sr_cli.pipeline.conditioning import Conditioning
from dit4sr_cli.pipeline.text import (
    CLIP_TOKENS,
    T5_TOKENS_IN_TRAINING,
    TextEncoders,
    load_text_encoders,
)
from dit4sr_cli.training.data import files
from dit4sr_cli.training.data.index import HOW_TO_BEGIN, require
from dit4sr_cli.training.data.layout import GT, NULL, POOLED, PROMPT, PROMPT_EMBEDS
from dit4sr_cli.training.data.models import text_config, text_fingerprint
from dit4sr_cli.training.data.outcome import Outcome
from dit4sr_cli.training.data.record import at_work
from dit4sr_cli.training.data.shards import Part, parts
from dit4sr_cli.weights.resolve import Resolved

_TEXT = "text"


def write_embeds(
    data: Path,
    found: Resolved,
    *,
    device: torch.device,
    dtype: torch.dtype = torch.float32,
    t5: bool = True,
    batch: int = 128,
    observe: events.Observer = events.ignore,
) -> Iterator[Outcome]:
    """Encode the captions that have no embeddings yet, and the empty prompt.

    Args:
        data: a folder with captions.
        found: the model whose text encoders they are.
        device: where they compute.
        dtype: in which they compute, and embeddings are stored.
        t5: False leaves the third encoder out.
        batch: captions at once. Encoders are read anew for each batch.
        observe: hears how many captions are done.

    Raises:
        UsageError: the model has no text encoders.
        InputError: there is no such folder, or nothing to work on in it.
        ModelError: an encoder is missing or damaged.
        OutputError: the embeddings there are other encoders', or cannot be written.
    """
    if not found.spec.text:
        raise UsageError(f"{found.name} reads no text: it needs no embeddings")
    require(data, GT, "training pairs", HOW_TO_BEGIN)
    require(data, PROMPT, "captions", f"run: dit4sr data captions {data}")
    encoders = load_text_encoders(
        found.base,
        text_config(found),
        device=device,
        dtype=dtype,
        t5=t5,
        t5_tokens=T5_TOKENS_IN_TRAINING,
        texts_at_once=batch,
    )
    settings = {
        "text": text_fingerprint(found, t5=encoders.has_t5, observe=observe),
        "tokens": CLIP_TOKENS + T5_TOKENS_IN_TRAINING,
        "t5": encoders.has_t5,
        "dtype": str(dtype).removeprefix("torch."),
    }
    # Damaged encoders say so here, before their fingerprint stands in the folder.
    null = None if (data / NULL).is_file() else encoders([""])[0]
    with at_work(data, "embeds", settings):
        if null is not None:
            files.write(data / NULL, _bytes(null, PROMPT_EMBEDS.tensor, POOLED.tensor))
        for part in parts(data):
            missing = [name for name in sorted(part.index[GT]) if not _is_done(part, name)]
            observe(events.PhaseStarted("embeddings", total=len(missing), unit="captions"))
            yield Outcome(str(part.folder), kept=len(part.index[GT]) - len(missing))
            for start in range(0, len(missing), batch):
                names = missing[start : start + batch]
                yield from _encoded(part, names, encoders)
                observe(events.Advanced(start + len(names)))


def _encoded(part: Part, names: Sequence[str], encoders: TextEncoders) -> Iterator[Outcome]:
    texts: dict[str, str] = {}
    for name in names:
        try:
            texts[name] = _caption(part, name)
        except InputError as error:
            yield Outcome(name, error=error)
    for name, conditioning in zip(texts, encoders(list(texts.values())), strict=True):
        for kind in (PROMPT_EMBEDS, POOLED):
            path = part.folder / kind.folder / f"{name}{kind.suffix}"
            files.write(path, _bytes(conditioning, kind.tensor, text=texts[name]))
        yield Outcome(name, made=1)


def _caption(part: Part, name: str) -> str:
    place = part.index[PROMPT].get(name)
    if place is None:
        raise InputError(f"{name}: no caption", hint="run dit4sr data captions first")
    try:
        return one_line(place.read().decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise InputError(f"{place.name}: not text in UTF-8", hint="save it as UTF-8") from error


def _is_done(part: Part, name: str) -> bool:
    """Whether both files are there, and of what the caption says now.

    The released code's files do not say which text they are of, and are taken for done.
    """
    places = [part.index[kind].get(name) for kind in (PROMPT_EMBEDS, POOLED)]
    try:
        text = _caption(part, name)
    except InputError:
        return False
    return all(place and files.word_of(place, _TEXT) in (None, text) for place in places)


def _bytes(conditioning: Conditioning, *tensors: str, text: str = "") -> bytes:
    """One or both of a conditioning's tensors, without the batch's dimension."""
    both = {
        PROMPT_EMBEDS.tensor: conditioning.prompt_embeds[0],
        POOLED.tensor: conditioning.pooled_prompt_embeds[0],
    }
    return files.tensor_bytes({name: both[name] for name in tensors}, **{_TEXT: text})
