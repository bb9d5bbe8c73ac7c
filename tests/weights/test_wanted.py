"""Which files are chosen, on listings like those of the published repositories."""

from dataclasses import replace

import pytest

from dit4sr_cli.core.errors import ModelError
from dit4sr_cli.weights.catalog import PARTS
from dit4sr_cli.weights.wanted import wanted


def _paths(text):
    return text.split()


SD35 = _paths("""
.gitattributes LICENSE.md README.md SD3.5M_SLG_example_workflow.json mmdit-x.png model_index.json
sd3.5_medium.safetensors sd3.5_medium_demo.jpg
scheduler/scheduler_config.json
text_encoder/config.json text_encoder/model.fp16.safetensors text_encoder/model.safetensors
text_encoder_2/config.json text_encoder_2/model.fp16.safetensors text_encoder_2/model.safetensors
text_encoder_3/config.json
text_encoder_3/model-00001-of-00002.safetensors text_encoder_3/model-00002-of-00002.safetensors
text_encoder_3/model.fp16-00001-of-00002.safetensors
text_encoder_3/model.fp16-00002-of-00002.safetensors
text_encoder_3/model.safetensors.index.fp16.json text_encoder_3/model.safetensors.index.json
text_encoders/clip_g.safetensors text_encoders/clip_l.safetensors
text_encoders/t5xxl_fp16.safetensors text_encoders/t5xxl_fp8_e4m3fn.safetensors
tokenizer/merges.txt tokenizer/special_tokens_map.json tokenizer/tokenizer_config.json
tokenizer/vocab.json
tokenizer_2/merges.txt tokenizer_2/special_tokens_map.json tokenizer_2/tokenizer_config.json
tokenizer_2/vocab.json
tokenizer_3/special_tokens_map.json tokenizer_3/spiece.model tokenizer_3/tokenizer.json
tokenizer_3/tokenizer_config.json
transformer/config.json transformer/diffusion_pytorch_model.safetensors
vae/config.json vae/diffusion_pytorch_model.safetensors
""")
DIT4SR = _paths("""
.gitattributes README.md
dit4sr_f/transformer/config.json
dit4sr_f/transformer/diffusion_pytorch_model-00001-of-00002.safetensors
dit4sr_f/transformer/diffusion_pytorch_model-00002-of-00002.safetensors
dit4sr_f/transformer/diffusion_pytorch_model.safetensors.index.json
dit4sr_q/optimizer.bin dit4sr_q/scheduler.bin
dit4sr_q/transformer/config.json
dit4sr_q/transformer/diffusion_pytorch_model.safetensors
dit4sr_q/transformer/diffusion_pytorch_model.bin
dit4sr_r1/transformer/config.json
dit4sr_r1/transformer/diffusion_pytorch_model.fp16.safetensors
dit4sr_r1/transformer/diffusion_pytorch_model.safetensors
""")
LLAVA = _paths("""
.gitattributes README.md added_tokens.json chat_template.jinja chat_template.json config.json
generation_config.json model-00001-of-00003.safetensors model-00002-of-00003.safetensors
model-00003-of-00003.safetensors model.safetensors.index.json preprocessor_config.json
processor_config.json special_tokens_map.json tokenizer.json tokenizer.model tokenizer_config.json
onnx/model.onnx pytorch_model.bin
""")
BASE = PARTS["sd3.5-medium"]


def _in(folder, paths):
    return [path.partition("/")[2] for path in paths if path.startswith(f"{folder}/")]


def test_the_base_is_what_the_pipeline_needs_and_no_more():
    chosen = wanted(BASE, SD35)
    folders = {path.partition("/")[0] for path in chosen}
    assert folders == {
        "LICENSE.md",
        "scheduler",
        "vae",
        *(
            f"{kind}{number}"
            for kind in ("tokenizer", "text_encoder")
            for number in ("", "_2", "_3")
        ),
    }
    assert "spiece.model" in _in("tokenizer_3", chosen)
    assert not [
        p for p in wanted(BASE, SD35, t5=False) if p.startswith(("t", "text")) and "_3" in p
    ]


@pytest.mark.parametrize("dtype", ["auto", "fp16", "bf16"])
def test_half_precision_is_preferred(dtype):
    chosen = wanted(BASE, SD35, dtype=dtype)
    assert _in("text_encoder", chosen) == ["config.json", "model.fp16.safetensors"]
    assert _in("text_encoder_3", chosen) == [
        "config.json",
        "model.fp16-00001-of-00002.safetensors",
        "model.fp16-00002-of-00002.safetensors",
        "model.safetensors.index.fp16.json",
    ]
    assert _in("vae", chosen) == ["config.json", "diffusion_pytorch_model.safetensors"]


def test_plain_weights_for_fp32():
    chosen = wanted(BASE, SD35, dtype="fp32")
    assert _in("text_encoder_2", chosen) == ["config.json", "model.safetensors"]
    assert _in("text_encoder_3", chosen) == [
        "config.json",
        "model-00001-of-00002.safetensors",
        "model-00002-of-00002.safetensors",
        "model.safetensors.index.json",
    ]


def test_the_other_way_to_name_an_index():
    folder = "text_encoder_3"
    renamed = [
        p.replace("model.safetensors.index.fp16.json", "model.fp16.safetensors.index.json")
        for p in SD35
    ]
    assert "model.fp16.safetensors.index.json" in _in(folder, wanted(BASE, renamed))
    assert "model.safetensors.index.json" not in _in(folder, wanted(BASE, renamed))


def test_an_index_comes_with_its_shards_alone():
    files = ["f/transformer/config.json", "f/transformer/model.safetensors.index.json"]
    whole = ["f/transformer/diffusion_pytorch_model.safetensors", *files]
    part = replace(PARTS["dit4sr-f"], folder="f")
    assert wanted(part, whole) == sorted([whole[0], files[0]])


@pytest.mark.parametrize(
    ("name", "weights"),
    [
        ("dit4sr-q", ["diffusion_pytorch_model.safetensors"]),
        ("dit4sr-r1", ["diffusion_pytorch_model.fp16.safetensors"]),
        (
            "dit4sr-f",
            [
                "diffusion_pytorch_model-00001-of-00002.safetensors",
                "diffusion_pytorch_model-00002-of-00002.safetensors",
                "diffusion_pytorch_model.safetensors.index.json",
            ],
        ),
    ],
)
def test_a_transformer_is_one_set_of_weights(name, weights):
    folder = f"{PARTS[name].folder}/transformer"
    chosen = wanted(PARTS[name], DIT4SR)
    assert chosen == [f"{folder}/{file}" for file in ["config.json", *weights]]


def test_a_captioner_is_the_top_folder():
    chosen = wanted(PARTS["llava-1.5-13b"], LLAVA)
    left_out = {".gitattributes", "README.md", "onnx/model.onnx", "pytorch_model.bin"}
    assert set(chosen) == set(LLAVA) - left_out


@pytest.mark.parametrize(
    ("lost", "words"),
    [
        ("vae/", "vae/"),
        ("text_encoder_3/model", r"no complete \.safetensors weights in text_encoder_3/"),
        ("text_encoder/config", r"no config\.json in text_encoder/"),
        ("tokenizer_2/", "nothing in tokenizer_2/"),
    ],
)
def test_what_is_missing_is_named(lost, words):
    files = [path for path in SD35 if not path.startswith(lost)]
    with pytest.raises(ModelError, match=words):
        wanted(BASE, files)


def test_half_a_set_of_shards_is_no_set():
    files = [path for path in SD35 if "fp16-00002" not in path]
    assert "model-00001-of-00002.safetensors" in _in("text_encoder_3", wanted(BASE, files))


def test_another_layout_is_refused():
    with pytest.raises(ModelError, match="acceptee/DiT4SR: nothing in dit4sr_q/transformer/"):
        wanted(PARTS["dit4sr-q"], ["README.md", "checkpoint/model.safetensors"])


def test_what_training_starts_from_is_the_base_s_own_transformer():
    chosen = wanted(PARTS["sd3.5-medium-transformer"], SD35)
    assert {path.partition("/")[0] for path in chosen} == {"LICENSE.md", "transformer"}
    assert "config.json" in _in("transformer", chosen)
