"""Captions, latents and embeddings of a small folder of pairs, by real models, however tiny."""

import json
import shutil

import numpy as np
import pytest
import torch
from helpers import tiny_hub
from PIL import Image
from safetensors import safe_open
from safetensors.torch import load_file

from dit4sr_cli.core.errors import InputError, ModelError, OutputError, UsageError
from dit4sr_cli.jobs.caption import describing
from dit4sr_cli.pipeline import latents as pipeline_latents
from dit4sr_cli.pipeline.assemble import load_codec
from dit4sr_cli.pipeline.text import load_text_encoders
from dit4sr_cli.training.data import captions, layout
from dit4sr_cli.training.data.crops import CropSettings
from dit4sr_cli.training.data.embeds import write_embeds
from dit4sr_cli.training.data.latents import write_latents
from dit4sr_cli.training.data.models import find_model, text_config
from dit4sr_cli.training.data.pairs import PairSettings, make_pairs
from dit4sr_cli.training.data.prepared import PreparedDataset
from dit4sr_cli.weights.resolve import resolve_captioner

CPU = torch.device("cpu")


@pytest.fixture
def data(photographs, tmp_path):
    settings = PairSettings(crops=CropSettings(size=64), per_photo=1)
    list(make_pairs(sorted(photographs.iterdir()), tmp_path / "data", settings))
    return tmp_path / "data"


def _names(data):
    return sorted(path.stem for path in (data / "gt").iterdir())


def _counts(outcomes):
    outcomes = list(outcomes)
    failed = [o for o in outcomes if o.error]
    return sum(o.made for o in outcomes), sum(o.kept for o in outcomes), len(failed)


# ------------------------------------------------------------------------ captions


def test_captions_from_a_folder_are_filtered_and_those_missing_told(data, tmp_path):
    texts = tmp_path / "texts"
    texts.mkdir()
    first, second, third = _names(data)
    (texts / f"{first}.txt").write_text("A wall.\nThe focus is on it. It is red.\n")
    (texts / f"{second}.png.txt").write_text("A house.")
    outcomes = list(captions.write_captions(data, captions.written_in(texts)))
    assert _counts(outcomes) == (2, 0, 1)
    assert [o.error.message for o in outcomes if o.error] == [f"{third}: no {third}.txt in {texts}"]
    assert (data / "prompt_txt" / f"{first}.txt").read_text() == "A wall. It is red.\n"
    assert _counts(captions.write_captions(data, captions.nothing)) == (1, 2, 0)
    assert (data / "prompt_txt" / f"{third}.txt").read_text() == "\n"
    assert (data / "prompt_txt" / f"{second}.txt").read_text() == "A house.\n"


def test_the_filter_can_be_left_out(data, tmp_path):
    (tmp_path / "texts").mkdir()
    for name in _names(data):
        (tmp_path / "texts" / f"{name}.txt").write_text("All in focus.")
    say = captions.written_in(tmp_path / "texts", is_filtered=False)
    list(captions.write_captions(data, say))
    assert (data / "prompt_txt" / f"{_names(data)[0]}.txt").read_text() == "All in focus.\n"
    with pytest.raises(InputError, match="no such folder"):
        captions.written_in(tmp_path / "nowhere")


def test_a_captioner_sees_the_hr_picture(data, tmp_path):
    captioner = resolve_captioner(str(tiny_hub.build_smolvlm(tmp_path / "smolvlm")))
    with describing(captioner, device="cpu", cache=tmp_path / "cache") as describe:
        list(captions.write_captions(data, captions.captioned(describe)))
        name = _names(data)[0]
        pixels = np.asarray(Image.open(data / "gt" / f"{name}.png"))
        expected = describe(pixels, name).text
    texts = [(data / "prompt_txt" / f"{name}.txt").read_text() for name in _names(data)]
    assert texts[0] == f"{expected}\n" and len(set(texts)) == 3


# ------------------------------------------------------------------------- latents


@pytest.mark.parametrize("model", ["nano", "tiny"])
def test_latents_are_what_the_pipeline_encodes(data, tiny_model, model):
    found = find_model("nano" if model == "nano" else str(tiny_model))
    assert _counts(write_latents(data, found, device=CPU, batch=4)) == (3, 0, 0)
    codec = load_codec(found, CPU)
    samples = PreparedDataset(data)
    for i in range(3):
        gt, enlarged = (picture.float() / 255 for picture in samples.pictures(i))
        for latent, image in ((samples[i].latent_hr, gt), (samples[i].latent_lr, enlarged)):
            [expected] = pipeline_latents.encode(codec, image * 2 - 1, device=CPU)
            assert latent.shape == (codec.channels, 8, 8)
            torch.testing.assert_close(latent, expected, rtol=1e-5, atol=1e-5)
    assert samples[0].prompt_embeds is None


def test_a_vaes_latents_are_the_mode_shifted_and_scaled(data, tiny_model):
    from diffusers import AutoencoderKL

    list(write_latents(data, find_model(str(tiny_model)), device=CPU))
    vae = AutoencoderKL.from_pretrained(tiny_model / "vae")
    name = _names(data)[1]
    pixels = np.array(Image.open(data / "sr_bicubic" / f"{name}.png"))
    image = torch.from_numpy(pixels).permute(2, 0, 1)[None].float() / 127.5 - 1
    with torch.no_grad():
        mode = vae.encode(image).latent_dist.mean
    stored = load_file(data / "latent_lr" / f"{name}.safetensors")["latent"]
    torch.testing.assert_close(stored, ((mode - 0.0609) * 1.5305)[0], rtol=1e-4, atol=1e-4)


def test_batches_change_nothing_and_halves_are_stored_as_such(data, tiny_model, tmp_path):
    other = shutil.copytree(data, tmp_path / "other")
    found = find_model(str(tiny_model))
    list(write_latents(data, found, device=CPU, batch=1))
    list(write_latents(other, found, device=CPU, batch=5, dtype=torch.float16))
    path = f"latent_hr/{_names(data)[0]}.safetensors"
    one, half = (load_file(folder / path)["latent"] for folder in (data, other))
    assert one.dtype == torch.float32 and half.dtype == torch.float16
    torch.testing.assert_close(one.half(), half, rtol=2e-3, atol=2e-3)


def test_only_missing_latents_are_made_and_other_codecs_refused(data, tiny_model):
    found = find_model(str(tiny_model))
    list(write_latents(data, found, device=CPU))
    gone = data / "latent_lr" / f"{_names(data)[1]}.safetensors"
    gone.unlink()
    assert _counts(write_latents(data, found, device=CPU)) == (1, 2, 0)
    assert gone.exists()
    with pytest.raises(OutputError, match="its latents were made with codec sha256"):
        list(write_latents(data, find_model("nano"), device=CPU))
    with pytest.raises(OutputError, match="dtype float32, not dtype float16"):
        list(write_latents(data, found, device=CPU, dtype=torch.float16))


def test_damaged_pictures_are_told_and_left_out(data):
    first, second, third = _names(data)
    (data / "gt" / f"{first}.png").write_bytes(b"torn")
    (data / "sr_bicubic" / f"{second}.png").unlink()
    outcomes = list(write_latents(data, find_model("nano"), device=CPU))
    messages = [o.error.message for o in outcomes if o.error]
    assert len(messages) == 2
    assert "damaged" in messages[0] and messages[1] == f"{second}: no picture in sr_bicubic"
    assert [path.stem for path in (data / "latent_hr").iterdir()] == [third]


# ---------------------------------------------------------------------- embeddings


@pytest.fixture
def described(data):
    for number, name in enumerate(_names(data)):
        path = data / "prompt_txt" / f"{name}.txt"
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"a cat and {'house ' * 40}{number}\n")
    return data


def test_embeddings_are_the_encoders_with_77_tokens_of_t5(described, tiny_model):
    found = find_model(str(tiny_model))
    assert _counts(write_embeds(described, found, device=CPU, batch=2)) == (3, 0, 0)
    list(write_latents(described, found, device=CPU))
    samples = PreparedDataset(described)
    assert samples[0].prompt_embeds.shape == (154, 32)
    assert samples[0].pooled_prompt_embeds.shape == (24,)
    encoders = load_text_encoders(
        tiny_model, text_config(found), device=CPU, dtype=torch.float32, t5_tokens=77
    )
    text = (described / "prompt_txt" / f"{samples.names[1]}.txt").read_text().strip()
    for index, [expected] in ((1, encoders([text])), (None, encoders([""]))):
        embeds = samples.null if index is None else samples[index]
        for field in ("prompt_embeds", "pooled_prompt_embeds"):
            stored = getattr(embeds, field).reshape(getattr(expected, field).shape)
            torch.testing.assert_close(stored, getattr(expected, field), rtol=1e-4, atol=1e-5)
    assert samples.null.prompt_embeds.shape == (1, 154, 32)


def test_what_was_encoded_is_kept_unless_its_caption_changes(described, tiny_model):
    found = find_model(str(tiny_model))
    list(write_embeds(described, found, device=CPU))
    name = _names(described)[2]
    assert _counts(write_embeds(described, found, device=CPU)) == (0, 3, 0)
    (described / "prompt_txt" / f"{name}.txt").write_text("a cat\n")
    assert _counts(write_embeds(described, found, device=CPU)) == (1, 2, 0)
    path = described / "prompt_embeds" / f"{name}.safetensors"
    with safe_open(path, framework="pt") as file:
        assert file.metadata()["text"] == "a cat"
    with pytest.raises(OutputError, match="dtype float32, not dtype bfloat16"):
        list(write_embeds(described, found, device=CPU, dtype=torch.bfloat16))


def test_pairs_without_captions_are_told(described, tiny_model):
    name = _names(described)[0]
    (described / "prompt_txt" / f"{name}.txt").unlink()
    outcomes = list(write_embeds(described, find_model(str(tiny_model)), device=CPU))
    assert [o.error.message for o in outcomes if o.error] == [f"{name}: no caption"]
    shutil.rmtree(described / "prompt_txt")
    (described / layout.NULL).unlink()
    with pytest.raises(InputError, match="no captions") as caught:
        list(write_embeds(described, find_model(str(tiny_model)), device=CPU))
    assert "dit4sr data captions" in caught.value.hint
    assert not (described / layout.NULL).exists()


def test_without_t5_its_tokens_are_zeros(described, tiny_model):
    list(write_embeds(described, find_model(str(tiny_model)), device=CPU, t5=False))
    null = load_file(described / layout.NULL)["prompt_embeds"]
    assert null.shape == (154, 32) and not null[77:].any() and null[:77].any()
    assert json.loads((described / layout.SETTINGS).read_text())["embeds"]["t5"] is False


def test_damaged_encoders_leave_nothing_behind(described, tiny_model, tmp_path):
    broken = shutil.copytree(tiny_model, tmp_path / "broken")
    (broken / "text_encoder_2" / "model.safetensors").write_bytes(b"torn")
    before = (described / layout.SETTINGS).read_bytes()
    with pytest.raises(ModelError, match="text_encoder_2"):
        list(write_embeds(described, find_model(str(broken)), device=CPU))
    assert (described / layout.SETTINGS).read_bytes() == before
    assert not (described / layout.NULL).exists()


def test_a_model_without_text_needs_none(described):
    with pytest.raises(UsageError, match="nano reads no text"):
        list(write_embeds(described, find_model("nano"), device=CPU))


def test_the_base_alone_will_do(data, tiny_model, tmp_path):
    base = shutil.copytree(tiny_model, tmp_path / "base", ignore=shutil.ignore_patterns("transf*"))
    assert find_model(str(base)).base == base
    assert _counts(write_latents(data, find_model(str(base)), device=CPU)) == (3, 0, 0)
    assert text_config(find_model(str(base))).joint_attention_dim == 4096
    with pytest.raises(ModelError, match=r"sd3\.5-medium: not on this machine"):
        find_model("sd3.5-medium")
    with pytest.raises(ModelError, match="no such model"):
        find_model("nanno")


@pytest.mark.parametrize("command", ["captions", "latents", "embeds"])
def test_folders_without_pairs_are_refused(tmp_path, tiny_model, command):
    found = find_model(str(tiny_model))
    run = {
        "captions": lambda data: captions.write_captions(data, captions.nothing),
        "latents": lambda data: write_latents(data, found, device=CPU),
        "embeds": lambda data: write_embeds(data, found, device=CPU),
    }[command]
    for folder, message in ((tmp_path / "none", "no such folder"), (tmp_path, "no training pairs")):
        with pytest.raises(InputError, match=message) as caught:
            list(run(folder))
        assert "dit4sr data pairs" in caught.value.hint
    assert not list(tmp_path.iterdir())
