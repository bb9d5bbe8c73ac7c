"""Complete tiny repositories in the published layout, with random weights, for helpers.hub.

    PYTHONPATH=tests python -m helpers.tiny_hub FOLDER      # then: python -m helpers.hub FOLDER

or `tiny_hub.build(folder)`, which returns the folder; the same bytes every time, some 2 MB. In it:

- acceptee/DiT4SR: `dit4sr_q/transformer` in two shards with an index, `dit4sr_f/transformer` and
  `dit4sr_r1/transformer` in one file each, a README with the licence in its head;
- stabilityai/stable-diffusion-3.5-medium: all parts; the three text encoders both plain and
  `.fp16` (the third in two shards of each, with their indexes), and DECOYS: its own transformer,
  single-file checkpoints and demo pictures, which no pull may fetch;
- llava-hf/llava-1.5-7b-hf: LlavaForConditionalGeneration in two shards, with its processor;
- HuggingFaceTB/SmolVLM-Instruct: Idefics3ForConditionalGeneration, with its processor;
- Qwen/Qwen3-VL-2B-Instruct: Qwen3VLForConditionalGeneration, whose processor takes videos too.

The text encoders, the VAE and the transformers fit one another: a pulled model upscales. The
captioners speak, but babble.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import (
    CLIPImageProcessorPil,
    CLIPTextModelWithProjection,
    CLIPVisionConfig,
    GenerationConfig,
    Idefics3Config,
    Idefics3ForConditionalGeneration,
    Idefics3ImageProcessorPil,
    LlamaConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    PreTrainedTokenizerFast,
    Qwen2VLImageProcessorPil,
    Qwen3VLConfig,
    Qwen3VLForConditionalGeneration,
    T5EncoderModel,
)
from transformers.models.idefics3.configuration_idefics3 import Idefics3VisionConfig
from transformers.utils import logging

from helpers import tiny_published

DIT4SR = "acceptee/DiT4SR"
SD35 = "stabilityai/stable-diffusion-3.5-medium"
LLAVA = "llava-hf/llava-1.5-7b-hf"
SMOLVLM = "HuggingFaceTB/SmolVLM-Instruct"
QWEN = "Qwen/Qwen3-VL-2B-Instruct"
DECOYS = (
    "transformer/*",
    "text_encoders/*",
    "sd3.5_medium.safetensors",
    "SD3.5M_example_workflow.json",
    "sd3.5_medium_demo.png",
)
"""Files of SD35 that no pull may fetch, as patterns."""

_LLAVA_TEMPLATE = (
    "{% for message in messages %}{{ message['role'].upper() + ': ' }}"
    "{% for part in message['content'] if part['type'] == 'image' %}{{ '<image>\\n' }}{% endfor %}"
    "{% for part in message['content'] if part['type'] == 'text' %}{{ part['text'] + ' ' }}"
    "{% endfor %}{% endfor %}{% if add_generation_prompt %}{{ 'ASSISTANT:' }}{% endif %}"
)
_SMOLVLM_TEMPLATE = (
    "<|im_start|>{% for message in messages %}{{ message['role'] | capitalize }}: "
    "{% for part in message['content'] %}{% if part['type'] == 'text' %}{{ part['text'] }}"
    "{% elif part['type'] == 'image' %}{{ '<image>' }}{% endif %}{% endfor %}<end_of_utterance>\n"
    "{% endfor %}{% if add_generation_prompt %}{{ 'Assistant:' }}{% endif %}"
)
_QWEN_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n"
    "{% for part in message['content'] %}{% if part['type'] == 'image' %}"
    "<|vision_start|><|image_pad|><|vision_end|>{% else %}{{ part['text'] }}{% endif %}"
    "{% endfor %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
_WORDS = """a the of on in and with red blue old stone house roof cat tree street sky window"""
_LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.,:?!'-\n<>_"


def build(root: Path) -> Path:
    """Make all repositories below `root`."""
    logging.disable_progress_bar()
    build_dit4sr(root / DIT4SR)
    build_sd35(root / SD35)
    build_llava(root / LLAVA)
    build_smolvlm(root / SMOLVLM)
    build_qwen(root / QWEN)
    return root


def build_dit4sr(folder: Path) -> Path:
    """Three transformers with weights of their own."""
    for seed, (name, shards) in enumerate((("q", 2), ("f", 1), ("r1", 1)), start=1):
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            tiny_published.write_transformer(folder / f"dit4sr_{name}" / "transformer", shards)
    _write(folder / "README.md", "---\nlicense: cc-by-nc-4.0\n---\n# DiT4SR\n")
    return folder


def build_sd35(folder: Path) -> Path:
    """Everything that a DiT4SR needs beside its transformer, and decoys."""
    tiny_published.build(folder, seed=10)
    for name in ("text_encoder", "text_encoder_2"):
        _add_fp16(CLIPTextModelWithProjection.from_pretrained(folder / name), folder / name)
    t5 = T5EncoderModel.from_pretrained(folder / "text_encoder_3")
    shutil.rmtree(folder / "text_encoder_3")
    t5.save_pretrained(folder / "text_encoder_3", max_shard_size=_half(t5))
    _add_fp16(t5, folder / "text_encoder_3", max_shard_size=_half(t5.half()))
    weights = (folder / "text_encoder" / "model.safetensors").read_bytes()
    for name in ("sd3.5_medium.safetensors", "text_encoders/clip_l.safetensors"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(weights)
    (folder / "sd3.5_medium_demo.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(2000))
    _write(folder / "SD3.5M_example_workflow.json", "{}\n")
    _write(folder / "LICENSE.md", "# Stability AI community licence (a stand-in)\n")
    _write(folder / "README.md", "---\nlicense: other\n---\n# Stable Diffusion 3.5 medium\n")
    _write(folder / "model_index.json", json.dumps({"_class_name": "StableDiffusion3Pipeline"}))
    return folder


def build_llava(folder: Path) -> Path:
    """LLaVA-1.5 in its kind: CLIP's patches but the first, a projector, a Llama."""
    tokenizer = _tokenizer(["<unk>", "<s>", "</s>", "<image>", "<pad>"], begins=True)
    with torch.random.fork_rng():
        torch.manual_seed(20)
        config = LlavaConfig(
            vision_config=CLIPVisionConfig(
                hidden_size=16,
                intermediate_size=32,
                projection_dim=16,
                num_hidden_layers=3,
                num_attention_heads=2,
                image_size=28,
                patch_size=14,
            ),
            text_config=_llama(tokenizer),
            image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
            image_seq_length=4,
            vision_feature_layer=-2,
            vision_feature_select_strategy="default",
        )
        model = _wild(LlavaForConditionalGeneration(config))
    # The published copy is in float16, and has generation settings of its own that are not ours.
    model.generation_config = _ending(eos_token_id=2, pad_token_id=4, do_sample=False)
    model.half().save_pretrained(folder, max_shard_size=_half(model))
    tokenizer.save_pretrained(folder)
    side = {"height": 28, "width": 28}
    pictures = CLIPImageProcessorPil(size={"shortest_edge": 28}, crop_size=side)
    _write_pictures(folder, pictures, "CLIPImageProcessor", "LlavaProcessor")
    _write_json(folder / "chat_template.json", {"chat_template": _LLAVA_TEMPLATE})
    _write_json(
        folder / "processor_config.json",
        {
            "image_token": "<image>",
            "num_additional_image_tokens": 1,
            "patch_size": 14,
            "processor_class": "LlavaProcessor",
            "vision_feature_select_strategy": "default",
        },
    )
    _write(folder / "README.md", "---\nlicense: llama2\n---\n# LLaVA\n")
    return folder


def build_smolvlm(folder: Path) -> Path:
    """SmolVLM in its kind: a picture is cut into tiles, each framed by tokens of its place."""
    places = [f"<row_{row}_col_{column}>" for row in range(1, 7) for column in range(1, 7)]
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<fake_token_around_image>"]
    special += ["<image>", "<end_of_utterance>", "<global-img>", *places]
    tokenizer = _tokenizer(special, begins=False)
    with torch.random.fork_rng():
        torch.manual_seed(21)
        config = Idefics3Config(
            vision_config=Idefics3VisionConfig(
                hidden_size=16,
                intermediate_size=32,
                num_hidden_layers=2,
                num_attention_heads=2,
                image_size=32,
                patch_size=8,
            ),
            text_config=_llama(tokenizer),
            image_token_id=tokenizer.convert_tokens_to_ids("<image>"),
            scale_factor=2,
        )
        model = _wild(Idefics3ForConditionalGeneration(config))
    end = tokenizer.convert_tokens_to_ids("<end_of_utterance>")
    model.generation_config = _ending(eos_token_id=end, pad_token_id=2)
    model.to(torch.bfloat16).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    pictures = Idefics3ImageProcessorPil(
        size={"longest_edge": 64}, max_image_size={"longest_edge": 32}
    )
    _write_pictures(folder, pictures, "Idefics3ImageProcessor", "Idefics3Processor")
    _write_json(folder / "chat_template.json", {"chat_template": _SMOLVLM_TEMPLATE})
    settings = {"image_seq_len": 4, "processor_class": "Idefics3Processor"}
    _write_json(folder / "processor_config.json", settings)
    _write(folder / "README.md", "---\nlicense: apache-2.0\n---\n# SmolVLM\n")
    return folder


def build_qwen(folder: Path) -> Path:
    """Qwen3-VL in its kind: patches of any picture at its own size, positions in three axes."""
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>"]
    tokenizer = _tokenizer([*special, "<|image_pad|>", "<|video_pad|>"], begins=False)
    number = tokenizer.convert_tokens_to_ids
    rope = {"rope_type": "default", "mrope_section": [4, 2, 2], "mrope_interleaved": True}
    with torch.random.fork_rng():
        torch.manual_seed(22)
        config = Qwen3VLConfig(
            text_config={
                "vocab_size": len(tokenizer),
                "hidden_size": 32,
                "intermediate_size": 32,
                "num_hidden_layers": 2,
                "num_attention_heads": 2,
                "num_key_value_heads": 2,
                "head_dim": 16,
                "rope_scaling": rope,
                "max_position_embeddings": 4096,
            },
            vision_config={
                "depth": 2,
                "hidden_size": 16,
                "intermediate_size": 32,
                "num_heads": 2,
                "out_hidden_size": 32,
                "num_position_embeddings": 16,
                "deepstack_visual_indexes": [0],
            },
            image_token_id=number("<|image_pad|>"),
            video_token_id=number("<|video_pad|>"),
            vision_start_token_id=number("<|vision_start|>"),
            vision_end_token_id=number("<|vision_end|>"),
        )
        model = _wild(Qwen3VLForConditionalGeneration(config))
    model.generation_config = _ending(eos_token_id=2, pad_token_id=0, do_sample=True, top_k=20)
    model.to(torch.bfloat16).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    pictures = Qwen2VLImageProcessorPil(
        patch_size=16, merge_size=2, size={"shortest_edge": 64**2, "longest_edge": 256**2}
    )
    _write_pictures(folder, pictures, "Qwen2VLImageProcessorFast", "Qwen3VLProcessor")
    videos = {"video_processor_type": "Qwen3VLVideoProcessor", "patch_size": 16, "merge_size": 2}
    _write_json(folder / "video_preprocessor_config.json", videos)
    _write_json(folder / "chat_template.json", {"chat_template": _QWEN_TEMPLATE})
    _write(folder / "README.md", "---\nlicense: apache-2.0\n---\n# Qwen3-VL\n")
    return folder


def _ending(**settings: Any) -> GenerationConfig:
    """Settings with which the end comes soon after 24 tokens, though the weights know of none."""
    return GenerationConfig(exponential_decay_length_penalty=(24, 1.3), **settings)


def _llama(tokenizer: PreTrainedTokenizerFast) -> LlamaConfig:
    return LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=4096,
        bos_token_id=1,
        eos_token_id=2,
        pad_token_id=2,
    )


def _wild(model: Any) -> Any:
    """Weights so large that what is said depends on what is seen."""
    for parameter in model.parameters():
        if parameter.dim() > 1:
            parameter.data.normal_(std=0.4)
    return model.eval()


def _tokenizer(special: list[str], *, begins: bool) -> PreTrainedTokenizerFast:
    """Words and letters as a unigram model."""
    pieces = [(token, 0.0) for token in special]
    pieces += [(f"▁{word}", -4.0) for word in _WORDS.split()]
    pieces += [("▁", -5.0), *((letter, -8.0) for letter in _LETTERS)]
    inner = Tokenizer(models.Unigram(pieces, unk_id=0, byte_fallback=False))
    inner.pre_tokenizer = pre_tokenizers.Metaspace()
    inner.decoder = decoders.Metaspace()
    inner.add_special_tokens(special)
    return PreTrainedTokenizerFast(
        tokenizer_object=inner,
        unk_token=special[0],
        bos_token=special[1],
        eos_token=special[2],
        pad_token=special[4] if begins else special[2],
        model_max_length=4096,
        clean_up_tokenization_spaces=False,
    )


def _write_pictures(folder: Path, processor: Any, name: str, outer: str) -> None:
    """An image processor's settings, under the names that published ones carry."""
    processor.save_pretrained(folder)
    path = folder / "preprocessor_config.json"
    names = {"image_processor_type": name, "processor_class": outer}
    _write_json(path, json.loads(path.read_text(encoding="utf-8")) | names)


def _add_fp16(model: Any, folder: Path, **options: Any) -> None:
    config = (folder / "config.json").read_text(encoding="utf-8")
    model.half().save_pretrained(folder, variant="fp16", **options)
    _write(folder / "config.json", config)


def _half(model: Any) -> int:
    """A shard's size that makes two of a model."""
    sizes = (tensor.numel() * tensor.element_size() for tensor in model.state_dict().values())
    return int(sum(sizes) * 0.7)


def _write_json(path: Path, values: dict[str, Any]) -> None:
    _write(path, json.dumps(values, indent=2) + "\n")


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    build(Path(sys.argv[1]))
