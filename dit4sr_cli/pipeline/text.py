"""Prompts to embeddings, as Stable Diffusion 3 makes them: CLIP-L, CLIP-G and T5.

The encoders are far larger than what they make, so one at a time is in memory, and only while it
encodes; of T5 only a block at a time. Transformers, slow to import, waits for a prompt that is new.
Shapes: B prompts, M tokens, D joint_attention_dim, P pooled
width.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import Tensor
from torch.nn.functional import pad

from dit4sr_cli.core.errors import ModelError
from dit4sr_cli.core.quiet import quiet_transformers
from dit4sr_cli.core.words import as_reason
from dit4sr_cli.model.config import TransformerConfig
from dit4sr_cli.pipeline import memory
from dit4sr_cli.pipeline.conditioning import Conditioning
from dit4sr_cli.pipeline.embeddings import EmbeddingCache, fingerprint
from dit4sr_cli.weights.files import read_json
from dit4sr_cli.weights.reader import read_shapes
from dit4sr_cli.weights.stream import stream_blocks
from dit4sr_cli.weights.variants import weight_variants

CLIP_TOKENS = 77
T5_TOKENS = 256
"""At inference."""
T5_TOKENS_IN_TRAINING = 77
TEXTS_AT_ONCE = 16
_REMEMBERED = 64
"""Texts whose embeddings stay in memory, 3 to 6 MB each; the others are on disk."""
_VOCABULARIES = (("tokenizer.json",), ("vocab.json", "merges.txt"), ("spiece.model",))


@dataclass(frozen=True, slots=True)
class _Part:
    """An encoder and its tokenizer, as folders, and how it is loaded and read."""

    model: Path
    tokenizer: Path
    load: Callable[[Path, torch.device, torch.dtype], Any]
    tokenizer_class: str
    outputs: Callable[[Any, Any, Sequence[str]], tuple[Tensor, ...]]


class TextEncoders:
    """Call it with texts; it returns a Conditioning for each, on the CPU.

    Encoders are read only for texts that are not known from before.
    """

    def __init__(
        self,
        clips: Sequence[_Part],
        t5: _Part | None,
        width: int,
        *,
        device: torch.device,
        dtype: torch.dtype,
        cache: EmbeddingCache,
        t5_tokens: int = T5_TOKENS,
        texts_at_once: int = TEXTS_AT_ONCE,
    ) -> None:
        self.has_t5 = t5 is not None
        self._clips, self._t5, self._width = clips, t5, width
        self._device, self._dtype = device, dtype
        self._t5_tokens, self._texts_at_once = t5_tokens, texts_at_once
        self._cache = cache
        self._recent: dict[str, Conditioning] = {}

    def __call__(self, texts: Sequence[str]) -> list[Conditioning]:
        """Encode texts.

        Raises:
            ModelError: an encoder's files are damaged.
        """
        found = {text: known for text in texts if (known := self._known(text))}
        unknown = [text for text in dict.fromkeys(texts) if text not in found]
        for start in range(0, len(unknown), self._texts_at_once):
            some = unknown[start : start + self._texts_at_once]
            for text, conditioning in zip(some, self._encode(some), strict=True):
                self._cache.put(text, conditioning)
                found[text] = conditioning
        self._recent = dict([*self._recent.items(), *found.items()][-_REMEMBERED:])
        return [found[text] for text in texts]

    def knows(self, texts: Sequence[str]) -> bool:
        """Whether these texts can be had without reading an encoder."""
        return all(self._known(text) for text in texts)

    def _known(self, text: str) -> Conditioning | None:
        return self._recent.get(text) or self._cache.get(text)

    @torch.no_grad()
    def _encode(self, texts: Sequence[str]) -> list[Conditioning]:
        encoded = [self._run(clip, texts) for clip in self._clips]
        states, pooled = (torch.cat(parts, dim=-1) for parts in zip(*encoded, strict=True))
        if self._t5 is None:
            tokens = states.new_zeros(len(texts), self._t5_tokens, self._width)
        else:
            (tokens,) = self._run(self._t5, texts)
        states = pad(states, (0, self._width - states.shape[-1]))
        embeds = torch.cat([states, tokens], dim=1)
        return [Conditioning(embeds[i : i + 1], pooled[i : i + 1]) for i in range(len(texts))]

    def _run(self, part: _Part, texts: Sequence[str]) -> tuple[Tensor, ...]:
        """Load an encoder, encode, and let it go."""
        with quiet_transformers():
            tokenizer = _load_tokenizer(part)
            model = part.load(part.model, self._device, self._dtype)
            # T5 keeps some layers in float32 when the rest is float16.
            results = tuple(
                result.to("cpu", self._dtype) for result in part.outputs(model, tokenizer, texts)
            )
        del model
        memory.release(self._device)
        return results


def load_text_encoders(
    folder: Path,
    config: TransformerConfig,
    *,
    device: torch.device,
    dtype: torch.dtype,
    t5: bool = True,
    t5_tokens: int = T5_TOKENS,
    texts_at_once: int = TEXTS_AT_ONCE,
    cache: Path | None = None,
) -> TextEncoders:
    """Check a folder's text encoders; they are read when a prompt is first encoded.

    Without the folder `text_encoder_3` T5's tokens are zeros, as in Stable Diffusion 3.

    Args:
        folder: with `tokenizer` and `text_encoder`, both again with `_2` and `_3`.
        config: of the transformer that the text is for.
        device: where they compute.
        dtype: in which they compute.
        t5: False leaves T5 out even if it is there.
        t5_tokens: that T5 reads; the rest of a text is cut off.
        texts_at_once: that an encoder works on together, once it is read.
        cache: where embeddings are kept; None keeps none on disk.

    Raises:
        ModelError: a folder is missing, or an encoder does not fit the transformer.
    """
    clips = [
        _part(folder, number, _load_clip, "CLIPTokenizer", _clip_outputs) for number in ("", "_2")
    ]
    third = None
    if t5 and (folder / "text_encoder_3").is_dir():
        outputs = partial(_t5_outputs, length=t5_tokens)
        third = _part(folder, "_3", _load_t5, "T5TokenizerFast", outputs)
    _check_width(clips, third, config)
    parts = [*clips, third] if third else clips
    folders = [folder for part in parts for folder in (part.tokenizer, part.model)]
    known = fingerprint(folders, dtype=dtype, t5=third is not None, tokens=t5_tokens)
    return TextEncoders(
        clips,
        third,
        config.joint_attention_dim,
        device=device,
        dtype=dtype,
        cache=EmbeddingCache(cache, known),
        t5_tokens=t5_tokens,
        texts_at_once=texts_at_once,
    )


def _clip_outputs(model: Any, tokenizer: Any, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
    """The last but one hidden states [B, 77, width], and the pooled text [B, projection]."""
    tokens = _tokens(model.device, tokenizer, texts, CLIP_TOKENS)
    output = model(tokens, output_hidden_states=True)
    return output.hidden_states[-2], output.text_embeds


def _t5_outputs(model: Any, tokenizer: Any, texts: Sequence[str], *, length: int) -> tuple[Tensor]:
    """The last hidden states [B, length, D]."""
    # Padding is attended to: the transformer was trained on T5 without its mask.
    tokens = _tokens(model.shared.weight.device, tokenizer, texts, length)
    return (model(tokens).last_hidden_state,)


def _tokens(device: torch.device, tokenizer: Any, texts: Sequence[str], length: int) -> Tensor:
    """Token numbers [B, length], padded or cut, on the model's device."""
    batch = tokenizer(
        list(texts), padding="max_length", max_length=length, truncation=True, return_tensors="pt"
    )
    tokens: Tensor = batch.input_ids
    return tokens.to(device)


def _load_clip(folder: Path, device: torch.device, dtype: torch.dtype) -> Any:
    from transformers import CLIPTextModelWithProjection

    try:
        model, report = CLIPTextModelWithProjection.from_pretrained(
            folder,
            variant=weight_variants(folder)[0],
            dtype=dtype,
            local_files_only=True,
            use_safetensors=True,
            ignore_mismatched_sizes=True,  # refused below, by name
            output_loading_info=True,
        )
    except (OSError, ValueError, KeyError, SafetensorError) as error:
        raise ModelError(f"{folder}: {as_reason(error)}", hint="fetch this folder again") from error
    _check_complete(report["missing_keys"], report["mismatched_keys"], folder)
    return model.to(device).eval()


def _load_t5(folder: Path, device: torch.device, dtype: torch.dtype) -> Any:
    """T5 with one block in memory: 19 GB in float32, and every block is used just once."""
    from transformers import T5Config, T5EncoderModel

    try:
        with torch.device("meta"):
            model = T5EncoderModel(T5Config.from_pretrained(folder, local_files_only=True)).eval()
    except (OSError, ValueError, TypeError) as error:
        raise ModelError(f"{folder}: {as_reason(error)}", hint="fetch this folder again") from error
    shapes = read_shapes(folder)
    expected = {name: tensor.shape for name, tensor in model.named_parameters()}
    missing = [name for name in expected if name not in shapes]
    misshapen = [name for name in expected if name in shapes and shapes[name] != expected[name]]
    _check_complete(missing, misshapen, folder)
    # The second linear of its feed-forward overflows in float16.
    exact = ("wo.",) if dtype == torch.float16 else ()
    stream_blocks(model, "encoder.block", folder, device=device, dtype=dtype, keep_float32=exact)
    model.encoder.embed_tokens.weight = model.shared.weight
    return model


def _check_complete(missing: Sequence[str], misshapen: Sequence[Any], folder: Path) -> None:
    """Transformers fills gaps with random numbers and carries on; a wrong picture is worse."""
    misshapen = [key[0] if isinstance(key, tuple) else key for key in misshapen]
    for what, names in (("missing", missing), ("of another shape", misshapen)):
        if names:
            raise ModelError(
                f"{folder}: {len(names)} tensors are {what}: {', '.join(sorted(names)[:5])}",
                hint="these weights are not of this encoder, or the copy is incomplete",
            )


def _load_tokenizer(part: _Part) -> Any:
    import transformers

    tokenizer_class = getattr(transformers, part.tokenizer_class)
    try:
        return tokenizer_class.from_pretrained(part.tokenizer, local_files_only=True)
    except Exception as error:  # the tokenizers library raises bare Exception
        raise ModelError(
            f"{part.tokenizer}: {as_reason(error)}", hint="fetch this folder again"
        ) from error


def _part(folder: Path, number: str, load: Any, tokenizer_class: str, outputs: Any) -> _Part:
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
    if not weight_variants(model):
        raise ModelError(f"{model}: no .safetensors weights in this folder", hint="fetch it again")
    return _Part(model, tokenizer, load, tokenizer_class, outputs)


def _check_width(clips: Sequence[_Part], t5: _Part | None, config: TransformerConfig) -> None:
    """The encoders have to make what the transformer takes."""
    made = sum(_config_number(clip.model, "projection_dim") for clip in clips)
    if made != config.pooled_projection_dim:
        raise ModelError(
            f"{clips[0].model.parent}: the text encoders pool to {made} channels,"
            f" the transformer takes {config.pooled_projection_dim}"
        )
    width = config.joint_attention_dim
    if t5 is not None and (made := _config_number(t5.model, "d_model")) != width:
        raise ModelError(f"{t5.model}: makes {made} channels, the transformer takes {width}")


def _config_number(folder: Path, key: str) -> int:
    value = read_json(folder / "config.json").get(key)
    if not isinstance(value, int):
        raise ModelError(f"{folder / 'config.json'}: no {key}", hint="is this the right folder?")
    return value
