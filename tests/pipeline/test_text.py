"""Prompts become what diffusers' Stable Diffusion 3 pipeline makes of them."""

from __future__ import annotations

import gc
import json
import shutil
from pathlib import Path

import pytest
import torch
from diffusers import StableDiffusion3Pipeline
from diffusers.models import SD3Transformer2DModel
from helpers import tiny_published
from helpers.tiny_published import POOLED_WIDTH, TEXT_WIDTH
from safetensors.torch import load_file, save_file
from transformers import (
    CLIPTextModelWithProjection,
    CLIPTokenizer,
    T5EncoderModel,
    T5TokenizerFast,
)

from dit4sr_cli.captions.prompts import NEGATIVE_PROMPT, QUALITY_SUFFIX, compose
from dit4sr_cli.core.errors import ModelError
from dit4sr_cli.model.config import TransformerConfig
from dit4sr_cli.pipeline.text import TextEncoders, load_text_encoders

CPU = torch.device("cpu")
PAIRS = [
    ("A cat, a house.", "dirty"),
    ("", ""),
    (compose("The cat in the house. " * 30), NEGATIVE_PROMPT),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_published.build(tmp_path_factory.mktemp("published"))


@pytest.fixture
def altered(folder: Path, tmp_path: Path) -> Path:
    """A copy to change or break."""
    return Path(shutil.copytree(folder, tmp_path / "model"))


CONFIG = TransformerConfig.from_dict(tiny_published.TRANSFORMER)


def _load(folder: Path, dtype: torch.dtype = torch.float32, **how) -> TextEncoders:
    return load_text_encoders(folder, CONFIG, device=CPU, dtype=dtype, **how)


def _diffusers(folder: Path, *, t5: bool = True) -> StableDiffusion3Pipeline:
    transformer = SD3Transformer2DModel(
        sample_size=8,
        num_layers=1,
        attention_head_dim=8,
        num_attention_heads=2,
        joint_attention_dim=TEXT_WIDTH,
        caption_projection_dim=16,
        pooled_projection_dim=POOLED_WIDTH,
        pos_embed_max_size=8,
    )
    return StableDiffusion3Pipeline(
        transformer=transformer,
        scheduler=None,
        vae=None,
        text_encoder=CLIPTextModelWithProjection.from_pretrained(folder / "text_encoder"),
        tokenizer=CLIPTokenizer.from_pretrained(folder / "tokenizer"),
        text_encoder_2=CLIPTextModelWithProjection.from_pretrained(folder / "text_encoder_2"),
        tokenizer_2=CLIPTokenizer.from_pretrained(folder / "tokenizer_2"),
        text_encoder_3=T5EncoderModel.from_pretrained(folder / "text_encoder_3") if t5 else None,
        tokenizer_3=T5TokenizerFast.from_pretrained(folder / "tokenizer_3") if t5 else None,
    )


def _assert_as_diffusers(pipeline: StableDiffusion3Pipeline, encode: TextEncoders) -> None:
    for prompt, negative in PAIRS:
        with torch.no_grad():
            embeds, negative_embeds, pooled, negative_pooled = pipeline.encode_prompt(
                prompt=prompt,
                prompt_2=prompt,
                prompt_3=prompt,
                negative_prompt=negative,
                device=CPU,
            )
        ours, ours_negative = encode([prompt, negative])
        assert ours.prompt_embeds.shape == (1, 77 + 256, TEXT_WIDTH)
        assert ours.pooled_prompt_embeds.shape == (1, POOLED_WIDTH)
        torch.testing.assert_close(ours.prompt_embeds, embeds)
        torch.testing.assert_close(ours.pooled_prompt_embeds, pooled)
        torch.testing.assert_close(ours_negative.prompt_embeds, negative_embeds)
        torch.testing.assert_close(ours_negative.pooled_prompt_embeds, negative_pooled)


def test_embeddings_are_those_of_the_sd3_pipeline(folder: Path) -> None:
    _assert_as_diffusers(_diffusers(folder), _load(folder))


def test_without_t5_its_tokens_are_zeros_as_in_the_sd3_pipeline(altered: Path) -> None:
    shutil.rmtree(altered / "text_encoder_3")
    shutil.rmtree(altered / "tokenizer_3")
    encode = _load(altered)
    _assert_as_diffusers(_diffusers(altered, t5=False), encode)
    assert not encode(["a cat"])[0].prompt_embeds[:, 77:].any()


def test_prompts_tell_apart(folder: Path) -> None:
    cat, house = _load(folder)(["a cat", "a house"])
    for ours, other in (
        (cat.prompt_embeds[:, :77], house.prompt_embeds[:, :77]),
        (cat.prompt_embeds[:, 77:], house.prompt_embeds[:, 77:]),
        (cat.pooled_prompt_embeds, house.pooled_prompt_embeds),
    ):
        assert not torch.allclose(ours, other)


def test_a_pair_is_encoded_once_and_the_encoders_let_go(folder: Path) -> None:
    encode = _load(folder)
    first = encode(["a cat", "dirty"])
    gc.collect()
    encoders = {CLIPTextModelWithProjection, T5EncoderModel}
    assert not [thing for thing in gc.get_objects() if type(thing) in encoders]
    assert encode.knows(["a cat"]) and not encode.knows(["a cat", "noisy"])
    assert all(a is b for a, b in zip(encode(["a cat", "dirty"]), first, strict=True))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_computes_in_the_type_asked_for(folder: Path, dtype: torch.dtype) -> None:
    (positive,) = _load(folder, dtype)(["a cat"])
    (exact,) = _load(folder)(["a cat"])
    assert positive.prompt_embeds.dtype == positive.pooled_prompt_embeds.dtype == dtype
    error = (positive.prompt_embeds.float() - exact.prompt_embeds).abs().mean()
    assert error < 0.02 * exact.prompt_embeds.abs().mean()


def test_shards_and_variants_read_as_whole_files_do(folder: Path, altered: Path) -> None:
    whole = altered / "text_encoder" / "model.safetensors"
    whole.rename(whole.with_name("model.fp16.safetensors"))
    t5 = altered / "text_encoder_3"
    model = T5EncoderModel.from_pretrained(t5)
    (t5 / "model.safetensors").unlink()
    model.save_pretrained(t5, max_shard_size="8KB")
    assert len(list(t5.glob("model-*.safetensors"))) > 1
    (expected,) = _load(folder)(["a cat"])
    (positive,) = _load(altered)(["a cat"])
    assert torch.equal(positive.prompt_embeds, expected.prompt_embeds)


def test_says_nothing(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    _load(folder)(["a cat " * 300])
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    "name", ["tokenizer", "text_encoder", "tokenizer_2", "text_encoder_2", "tokenizer_3"]
)
def test_an_absent_folder_is_named_with_a_hint(altered: Path, name: str) -> None:
    shutil.rmtree(altered / name)
    with pytest.raises(ModelError) as caught:
        _load(altered)
    assert caught.value.message.startswith(f"{altered / name}: ")
    assert f"folder {name} of Stable Diffusion 3.5" in caught.value.hint


@pytest.mark.parametrize(
    "name",
    [
        "tokenizer/vocab.json",
        "tokenizer/merges.txt",
        "tokenizer_3/tokenizer.json",
        "text_encoder/model.safetensors",
        "text_encoder_2/config.json",
        "text_encoder_3/model.safetensors",
    ],
)
def test_an_absent_file_is_told_before_any_work(altered: Path, name: str) -> None:
    (altered / name).unlink()
    with pytest.raises(ModelError) as caught:
        _load(altered)
    assert str(altered / Path(name).parent) in caught.value.message
    assert "\n" not in caught.value.message


def test_truncated_weights_are_told_in_one_line(altered: Path) -> None:
    path = altered / "text_encoder_2" / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    _refused_when_encoding(altered, "text_encoder_2")


def test_a_damaged_tokenizer_is_told_in_one_line(altered: Path) -> None:
    (altered / "tokenizer_3" / "tokenizer.json").write_text("{")
    _refused_when_encoding(altered, "tokenizer_3")


@pytest.mark.parametrize("fault", ["missing", "of another shape"])
def test_weights_that_do_not_fit_are_never_made_up(altered: Path, fault: str) -> None:
    path = altered / "text_encoder" / "model.safetensors"
    state = load_file(path)
    if fault == "missing":
        del state["text_projection.weight"]
    else:
        state["text_projection.weight"] = torch.zeros(3, 3)
    save_file(state, path, {"format": "pt"})
    _refused_when_encoding(altered, f"1 tensors are {fault}: text_projection.weight")


@pytest.mark.parametrize(
    ("path", "key"),
    [("text_encoder_2", "projection_dim"), ("text_encoder_3", "d_model")],
)
def test_encoders_of_another_model_are_refused(altered: Path, path: str, key: str) -> None:
    config = altered / path / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {key: 48}))
    with pytest.raises(ModelError, match="the transformer takes"):
        _load(altered)


def _refused_when_encoding(folder: Path, told: str) -> None:
    with pytest.raises(ModelError) as caught:
        _load(folder)(["a cat"])
    assert told in caught.value.message
    assert "\n" not in caught.value.message


def test_a_prompt_is_the_caption_then_the_quality_words() -> None:
    assert compose("A cat.") == f"A cat. {QUALITY_SUFFIX}"
    assert compose("") == QUALITY_SUFFIX
    assert QUALITY_SUFFIX.startswith("Cinematic, hyper sharpness, highly detailed, ")
    assert QUALITY_SUFFIX.endswith("detailing, skin pore detailing. ")
    assert NEGATIVE_PROMPT.endswith(", deformed, lowres, chaotic")
