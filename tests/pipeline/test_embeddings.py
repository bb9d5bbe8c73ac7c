"""A prompt that was seen before loads no text encoder, in this run or in the next."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
from helpers import tiny_published

from dit4sr_cli.model.config import TransformerConfig
from dit4sr_cli.pipeline import embeddings, text
from dit4sr_cli.pipeline.conditioning import Conditioning
from dit4sr_cli.pipeline.embeddings import EmbeddingCache

CONFIG = TransformerConfig.from_dict(tiny_published.TRANSFORMER)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_published.build(tmp_path_factory.mktemp("published"))


@pytest.fixture
def loads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The encoders that were read."""
    read: list[str] = []
    for name in ("_load_clip", "_load_t5"):
        real = getattr(text, name)

        def load(folder, device, dtype, real=real):
            read.append(folder.name)
            return real(folder, device, dtype)

        monkeypatch.setattr(text, name, load)
    return read


def _load(folder: Path, cache: Path | None, **how) -> text.TextEncoders:
    settings = {"device": torch.device("cpu"), "dtype": torch.float32} | how
    return text.load_text_encoders(folder, CONFIG, cache=cache, **settings)


def _equal(first: Conditioning, second: Conditioning) -> bool:
    return torch.equal(first.prompt_embeds, second.prompt_embeds) and torch.equal(
        first.pooled_prompt_embeds, second.pooled_prompt_embeds
    )


def test_a_second_run_reads_no_encoder(folder: Path, tmp_path: Path, loads: list[str]) -> None:
    first = _load(folder, tmp_path)(["a cat", "dirty"])
    assert loads == ["text_encoder", "text_encoder_2", "text_encoder_3"]
    again = _load(folder, tmp_path)
    assert again.knows(["dirty", "a cat"])
    second = again(["dirty", "a cat"])
    assert len(loads) == 3
    assert _equal(first[0], second[1]) and _equal(first[1], second[0])


def test_only_new_texts_are_encoded(folder: Path, tmp_path: Path, monkeypatch) -> None:
    _load(folder, tmp_path)(["a cat"])
    seen = []
    real = text._tokens

    def tokens(device, tokenizer, texts, length):
        seen.append(texts)
        return real(device, tokenizer, texts, length)

    monkeypatch.setattr(text, "_tokens", tokens)
    both = _load(folder, tmp_path)(["a cat", "a house", "a house"])
    assert seen == [["a house"]] * 3
    assert len(both) == 3 and _equal(both[1], both[2])


@pytest.mark.parametrize("how", [{"dtype": torch.bfloat16}, {"t5": False}])
def test_other_settings_are_other_embeddings(folder: Path, tmp_path: Path, how: dict) -> None:
    _load(folder, tmp_path)(["a cat"])
    assert not _load(folder, tmp_path, **how).knows(["a cat"])


def test_other_encoders_are_other_embeddings(folder: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    _load(folder, cache)(["a cat"])
    other = Path(shutil.copytree(folder, tmp_path / "other"))
    path = other / "text_encoder" / "model.safetensors"
    path.write_bytes(path.read_bytes())
    assert not _load(other, cache).knows(["a cat"])


def test_damage_is_made_good(folder: Path, tmp_path: Path) -> None:
    (first,) = _load(folder, tmp_path)(["a cat"])
    (file,) = tmp_path.glob("*.safetensors")
    file.write_bytes(file.read_bytes()[:100])
    (again,) = _load(folder, tmp_path)(["a cat"])
    assert _equal(first, again)
    assert _load(folder, tmp_path).knows(["a cat"])


def test_a_folder_that_cannot_be_written_is_no_matter(folder: Path, tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    encode = _load(folder, blocked / "cache")
    assert _equal(encode(["a cat"])[0], encode(["a cat"])[0])


def test_the_oldest_leave_when_there_are_too_many(tmp_path: Path, monkeypatch) -> None:
    cache = EmbeddingCache(tmp_path, "x")
    conditioning = Conditioning(torch.zeros(1, 4, 8), torch.zeros(1, 8))
    cache.put("0", conditioning)
    (file,) = tmp_path.iterdir()
    monkeypatch.setattr(embeddings, "MAX_BYTES", 3 * file.stat().st_size)
    for number in range(1, 4):
        cache.get("0")
        cache.put(str(number), conditioning)
    kept = [name for name in "0123" if cache.get(name)]
    assert len(kept) == 3 and "0" in kept and "3" in kept
    assert len(list(tmp_path.iterdir())) == 3
