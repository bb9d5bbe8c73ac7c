"""Captioners of three classes really speak: what they say is transformers' own, and only that."""

from __future__ import annotations

import json
import shutil

import pytest
import torch
from helpers import images
from PIL import Image
from safetensors.torch import load_file, save_file
from transformers import AutoModelForImageTextToText, AutoProcessor

from dit4sr_cli.captions import vision
from dit4sr_cli.core.errors import ModelError

CPU = torch.device("cpu")


@pytest.fixture(params=["llava", "smolvlm", "qwen"])
def folder(request):
    return request.getfixturevalue(request.param)


@pytest.fixture
def broken(llava, tmp_path):
    return shutil.copytree(llava, tmp_path / "broken")


def describe(folder, image=None, *, seed=0, tokens=12):
    with vision.open_captioner(
        folder, device=CPU, dtype=torch.float32, max_new_tokens=tokens
    ) as ask:
        return ask(images.scene(60, 40) if image is None else image, seed)


def by_transformers(folder, *, seed, tokens, class_name=AutoModelForImageTextToText):
    """The same question, asked as transformers' documentation does."""
    model = class_name.from_pretrained(folder, dtype=torch.float32)
    processor = AutoProcessor.from_pretrained(folder)
    content = [{"type": "image"}, {"type": "text", "text": vision.QUESTION}]
    text = processor.apply_chat_template(
        [{"role": "user", "content": content}], add_generation_prompt=True
    )
    inputs = processor(images=[images.scene(60, 40)], text=[text], return_tensors="pt")
    torch.manual_seed(seed)
    sampling = {"do_sample": True, "temperature": 0.2, "top_p": 0.7}
    output = model.generate(**inputs, **sampling, max_new_tokens=tokens)
    new = output[:, inputs["input_ids"].shape[1] :]
    return processor.batch_decode(new, skip_special_tokens=True)[0]


@pytest.mark.parametrize("name", ["llava", "smolvlm"])  # Qwen3-VL's processor wants torchvision
def test_the_text_is_that_of_transformers(name, request):
    folder = request.getfixturevalue(name)
    said = describe(folder, seed=3, tokens=40)
    assert said
    assert said == " ".join(by_transformers(folder, seed=3, tokens=40).split())


def test_the_question_does_not_come_back(folder):
    said = describe(folder, tokens=40)
    for piece in ("USER", "User", "user", "ASSISTANT", "Assistant", "<image>", "<|", "everything"):
        assert piece not in said


def test_seed_and_picture_decide(folder):
    with vision.open_captioner(folder, device=CPU, dtype=torch.float32, max_new_tokens=40) as ask:
        first, other = images.scene(60, 40), images.scene(60, 40).rotate(180)
        said = ask(first, 1)
        assert ask(first, 1) == said
        assert ask(other, 1) != said
        assert len({ask(first, seed) for seed in range(6)}) > 1


def test_the_callers_random_numbers_are_left_alone(llava):
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    describe(llava)
    assert torch.equal(torch.rand(3), expected)


def test_as_many_new_tokens_as_allowed(llava, monkeypatch):
    said = []
    real = vision._without_prompt

    def spy(output, prompt):
        said.append(real(output, prompt))
        return said[-1]

    monkeypatch.setattr(vision, "_without_prompt", spy)
    for tokens in (1, 7):
        describe(llava, tokens=tokens)
    assert [len(tokens) for tokens in said] == [1, 7]


def test_an_answer_without_the_prompt_is_taken_whole():
    prompt, answer = torch.tensor([1, 2, 3]), torch.tensor([9, 2, 3, 4])
    assert vision._without_prompt(answer, prompt).tolist() == [9, 2, 3, 4]
    assert vision._without_prompt(answer[:2], prompt).tolist() == [9, 2]
    assert vision._without_prompt(torch.tensor([1, 2, 3, 7]), prompt).tolist() == [7]


def test_llava_without_a_template_is_asked_in_its_own_words(broken):
    with_template = describe(broken)
    (broken / "chat_template.json").unlink()
    assert describe(broken) == with_template


@pytest.mark.parametrize("mode", ["L", "RGBA", "CMYK"])
def test_any_mode_of_picture(llava, mode):
    assert describe(llava, images.scene(30, 20, mode))


def test_large_pictures_are_reduced_first(llava, monkeypatch):
    sizes = []
    real = vision._inputs

    def spy(loaded, image):
        sizes.append(image.size)
        return real(loaded, image)

    monkeypatch.setattr(vision, "_inputs", spy)
    for size in ((3000, 1500), (1536, 8), (40, 30)):
        describe(llava, Image.new("RGB", size), tokens=1)
    assert sizes == [(1536, 768), (1536, 8), (40, 30)]


def test_bfloat16(folder):
    with vision.open_captioner(folder, device=CPU, dtype=torch.bfloat16, max_new_tokens=8) as ask:
        assert ask(images.scene(60, 40), 0)


def test_nothing_is_said_on_the_way(folder, capfd):
    describe(folder)
    assert capfd.readouterr() == ("", "")


def test_nothing_is_fetched(llava, tmp_path, monkeypatch):
    from helpers.hub import Hub

    (tmp_path / "root").mkdir()
    with Hub(tmp_path / "root") as hub:
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", hub.url)
        describe(llava)
        assert hub.requests == []


# What is no captioner, or no whole one


def refusal(folder):
    with pytest.raises(ModelError) as caught:
        describe(folder)
    assert "\n" not in caught.value.message
    assert str(folder) in caught.value.message
    assert len(caught.value.message) < 500
    return caught.value.message


def test_an_empty_folder(tmp_path):
    assert "config.json is not there" in refusal(tmp_path)


def test_no_safetensors(broken):
    for path in broken.glob("*.safetensors"):
        path.rename(path.with_name("pytorch_model.bin"))
    assert "no .safetensors weights" in refusal(broken)


def test_a_model_that_reads_no_pictures(broken):
    (broken / "config.json").write_text(json.dumps({"model_type": "bert"}))
    for name in ("processor_config.json", "preprocessor_config.json"):
        (broken / name).unlink()
    assert refusal(broken)


def test_a_model_that_nobody_knows(broken):
    (broken / "config.json").write_text(json.dumps({"model_type": "no-such-model"}))
    assert "not a model that describes pictures" in refusal(broken)


def test_code_in_the_folder_is_not_run(broken, tmp_path):
    trap = tmp_path / "sprung"
    (broken / "trap.py").write_text(f"open({str(trap)!r}, 'w')\n")
    names = {"AutoConfig": "trap.C", "AutoModelForImageTextToText": "trap.M"}
    (broken / "config.json").write_text(json.dumps({"model_type": "own", "auto_map": names}))
    assert "code of its own" in refusal(broken)
    assert not trap.exists()


def test_a_missing_shard(broken):
    (broken / "model-00002-of-00002.safetensors").unlink()
    assert "00002" in refusal(broken)


def test_a_damaged_shard(broken):
    shard = broken / "model-00002-of-00002.safetensors"
    shard.write_bytes(shard.read_bytes()[:-100])
    refusal(broken)


def test_missing_tensors_are_not_made_up(broken):
    index = broken / "model.safetensors.index.json"
    values = json.loads(index.read_text())
    gone = next(name for name in values["weight_map"] if "q_proj" in name)
    shard = broken / values["weight_map"].pop(gone)
    index.write_text(json.dumps(values))
    tensors = load_file(shard)
    del tensors[gone]
    save_file(tensors, shard, {"format": "pt"})
    assert "1 tensors are missing" in refusal(broken)


def test_values_that_are_not_finite(broken):
    for shard in broken.glob("*.safetensors"):
        tensors = {name: tensor * float("nan") for name, tensor in load_file(shard).items()}
        save_file(tensors, shard, {"format": "pt"})
    assert "not finite" in refusal(broken)


def test_tensors_of_another_shape(broken):
    config = json.loads((broken / "config.json").read_text())
    config["text_config"]["intermediate_size"] = 48
    (broken / "config.json").write_text(json.dumps(config))
    assert "of another shape" in refusal(broken)


def test_broken_json(broken):
    (broken / "config.json").write_text("{")
    refusal(broken)


def test_no_tokenizer(broken):
    (broken / "tokenizer.json").unlink()
    (broken / "tokenizer_config.json").unlink()
    refusal(broken)
