"""Prompts to embeddings, as Stable Diffusion 3 makes them: CLIP-L, CLIP-G and T5.

The encoders are far larger than what they make, so one at a time is in memory, and only while it
encodes. Shapes: B prompts, M tokens, D joint_attention_dim, P pooled width.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from textwrap import shorten
from typing import Any

import torch
from safetensors import SafetensorError
from torch import Tensor
from torch.nn.functional import pad
from transformers import (
    CLIPTextModelWithProjection,
    CLIPTokenizer,
    T5EncoderModel,
    T5TokenizerFast,
)
from transformers.utils import logging

from dit4sr_cli.core.errors import ModelError
from dit4sr_cli.pipeline.components import Encoder
from dit4sr_cli.pipeline.denoise import Conditioning
from dit4sr_cli.weights.reader import read_json

CLIP_TOKENS = 77
T5_TOKENS = 256
"""At inference; training uses 77."""
CACHED_PAIRS = 8
"""Prompt pairs whose embeddings are kept: some 10 MB each."""
_LONGEST_MESSAGE = 300
_WEIGHTS = re.compile(r"model(?:\.(?P<variant>\w+))?(?:-\d+-of-\d+)?\.safetensors")
_VOCABULARIES = (("tokenizer.json",), ("vocab.json", "merges.txt"), ("spiece.model",))


@dataclass(frozen=True, slots=True)
class _Part:
    """An encoder and its tokenizer, as folders."""

    model_class: Any
    model: Path
    variant: str | None
    tokenizer_class: Any
    tokenizer: Path


def load_text_encoders(folder: Path, *, device: torch.device, dtype: torch.dtype) -> Encoder:
    """Check a model folder's text encoders; they are read when a prompt is first encoded.

    Without the folder `text_encoder_3` T5's tokens are zeros, as in Stable Diffusion 3.

    Args:
        folder: with `tokenizer`, `text_encoder`, both again with `_2` and `_3`, and `transformer`.
        device: where they compute.
        dtype: in which they compute.

    Returns:
        A function of prompt and negative prompt. It may raise ModelError: damaged files.

    Raises:
        ModelError: a folder is missing, or an encoder does not fit the transformer.
    """
    clips = [
        _part(folder, number, CLIPTextModelWithProjection, CLIPTokenizer) for number in ("", "_2")
    ]
    t5 = None
    if (folder / "text_encoder_3").is_dir():
        t5 = _part(folder, "_3", T5EncoderModel, T5TokenizerFast)
    width = _text_width(folder, clips, t5)

    @torch.no_grad()
    def encode(prompt: str, negative: str) -> tuple[Conditioning, Conditioning]:
        texts = [prompt, negative]
        encoded = [_run(clip, _clip_outputs, texts, device, dtype) for clip in clips]
        states, pooled = (torch.cat(parts, dim=-1) for parts in zip(*encoded, strict=True))
        if t5 is None:
            tokens = states.new_zeros(len(texts), T5_TOKENS, width)
        else:
            (tokens,) = _run(t5, _t5_outputs, texts, device, dtype)
        states = pad(states, (0, width - states.shape[-1]))
        embeds = torch.cat([states, tokens], dim=1)
        return Conditioning(embeds[:1], pooled[:1]), Conditioning(embeds[1:], pooled[1:])

    return lru_cache(maxsize=CACHED_PAIRS)(encode)


def _clip_outputs(model: Any, tokenizer: Any, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
    """The last but one hidden states [B, 77, width], and the pooled text [B, projection]."""
    output = model(_tokens(model, tokenizer, texts, CLIP_TOKENS), output_hidden_states=True)
    return output.hidden_states[-2], output.text_embeds


def _t5_outputs(model: Any, tokenizer: Any, texts: Sequence[str]) -> tuple[Tensor]:
    """The last hidden states [B, 256, D]."""
    # Padding is attended to: the transformer was trained on T5 without its mask.
    return (model(_tokens(model, tokenizer, texts, T5_TOKENS)).last_hidden_state,)


def _tokens(model: Any, tokenizer: Any, texts: Sequence[str], length: int) -> Tensor:
    """Token numbers [B, length], padded or cut, on the model's device."""
    batch = tokenizer(
        list(texts), padding="max_length", max_length=length, truncation=True, return_tensors="pt"
    )
    tokens: Tensor = batch.input_ids
    return tokens.to(model.device)


def _run(
    part: _Part,
    outputs: Callable[[Any, Any, Sequence[str]], tuple[Tensor, ...]],
    texts: Sequence[str],
    device: torch.device,
    dtype: torch.dtype,
) -> tuple[Tensor, ...]:
    """Load an encoder, encode, and let it go."""
    with _quiet():
        tokenizer = _load_tokenizer(part)
        model = _load_model(part, dtype).to(device).eval()
        # T5 keeps some layers in float32 when the rest is float16.
        results = tuple(result.to(dtype) for result in outputs(model, tokenizer, texts))
    del model
    if device.type == "cuda":
        torch.cuda.empty_cache()
    return results


def _load_model(part: _Part, dtype: torch.dtype) -> Any:
    try:
        model, report = part.model_class.from_pretrained(
            part.model,
            variant=part.variant,
            dtype=dtype,
            local_files_only=True,
            use_safetensors=True,
            ignore_mismatched_sizes=True,  # refused below, by name
            output_loading_info=True,
        )
    except (OSError, ValueError, KeyError, SafetensorError) as error:
        raise ModelError(
            f"{part.model}: {_one_line(error)}", hint="fetch this folder again"
        ) from error
    _check_complete(report, part.model)
    return model


def _check_complete(report: dict[str, Any], folder: Path) -> None:
    """Transformers fills gaps with random numbers and carries on; a wrong picture is worse."""
    misshapen = [key[0] if isinstance(key, tuple) else key for key in report["mismatched_keys"]]
    for what, names in (("missing", report["missing_keys"]), ("of another shape", misshapen)):
        if names:
            raise ModelError(
                f"{folder}: {len(names)} tensors are {what}: {', '.join(sorted(names)[:5])}",
                hint="these weights are not of this encoder, or the copy is incomplete",
            )


def _load_tokenizer(part: _Part) -> Any:
    try:
        return part.tokenizer_class.from_pretrained(part.tokenizer, local_files_only=True)
    except Exception as error:  # the tokenizers library raises bare Exception
        raise ModelError(
            f"{part.tokenizer}: {_one_line(error)}", hint="fetch this folder again"
        ) from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep transformers' bars and reports to itself; what matters is raised."""
    level, had_bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if had_bars:
            logging.enable_progress_bar()


def _part(folder: Path, number: str, model_class: Any, tokenizer_class: Any) -> _Part:
    model, tokenizer = folder / f"text_encoder{number}", folder / f"tokenizer{number}"
    for path in (tokenizer, model):
        if not path.is_dir():
            raise ModelError(
                f"{path}: this part of the model is not there",
                hint=f"put the folder {path.name} of Stable Diffusion 3.5 medium into {folder}",
            )
    # Without these files transformers makes up a vocabulary.
    if not any(all((tokenizer / name).is_file() for name in names) for names in _VOCABULARIES):
        raise ModelError(f"{tokenizer}: no vocabulary in this folder", hint="fetch it again")
    return _Part(model_class, model, _variant(model), tokenizer_class, tokenizer)


def _variant(folder: Path) -> str | None:
    """Which weights to read: None, the plain ones, unless only others such as `fp16` are there."""
    found = [_WEIGHTS.fullmatch(path.name) for path in sorted(folder.glob("*.safetensors"))]
    variants = [match["variant"] for match in found if match]
    if not variants:
        raise ModelError(f"{folder}: no .safetensors weights in this folder", hint="fetch it again")
    return None if None in variants else variants[0]


def _text_width(folder: Path, clips: Sequence[_Part], t5: _Part | None) -> int:
    """The transformer's text width D, once the encoders are known to fit it."""
    width = _config_number(folder / "transformer", "joint_attention_dim")
    pooled = _config_number(folder / "transformer", "pooled_projection_dim")
    made = sum(_config_number(clip.model, "projection_dim") for clip in clips)
    if made != pooled:
        raise ModelError(
            f"{folder}: the text encoders pool to {made} channels, the transformer takes {pooled}"
        )
    if t5 is not None and (made := _config_number(t5.model, "d_model")) != width:
        raise ModelError(f"{t5.model}: makes {made} channels, the transformer takes {width}")
    return width


def _config_number(folder: Path, key: str) -> int:
    value = read_json(folder / "config.json").get(key)
    if not isinstance(value, int):
        raise ModelError(f"{folder / 'config.json'}: no {key}", hint="is this the right folder?")
    return value


def _one_line(error: Exception) -> str:
    return shorten(str(error), _LONGEST_MESSAGE, placeholder=" ...")
