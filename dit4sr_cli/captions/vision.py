"""Asks a vision-language model in a local folder what it sees; whatever transformers can load.

Nothing is fetched, no code from the folder is run, and only safetensors are read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from dit4sr_cli.captions.source import one_line
from dit4sr_cli.core.errors import ModelError
from dit4sr_cli.core.quiet import quiet_transformers
from dit4sr_cli.core.words import as_reason

if TYPE_CHECKING:
    import torch
    from PIL.Image import Image

QUESTION = (
    "Describe everything that can be seen in this picture in great detail: the objects, people, "
    "animals and plants, what they are made of, their colours, shapes, surfaces and patterns, and "
    "any writing. Say nothing about focus or blur."
)
MAX_NEW_TOKENS = 512
TEMPERATURE, TOP_P = 0.2, 0.7
HOW = f"temperature {TEMPERATURE}, top_p {TOP_P}, at most {MAX_NEW_TOKENS} tokens"
LONGEST_EDGE = 1536
"""In pixels; captioners see less than that, and a scan of an archive would cost gigabytes."""
_LOCAL = {"local_files_only": True, "trust_remote_code": False}

Describe: TypeAlias = "Callable[[Image, int], str]"


@contextmanager
def open_captioner(
    folder: Path,
    *,
    device: torch.device,
    dtype: torch.dtype,
    max_new_tokens: int = MAX_NEW_TOKENS,
) -> Iterator[Describe]:
    """Load a model, and free it in the end.

    Args:
        folder: config.json, weights as safetensors, and what its processor needs.
        device: where it computes.
        dtype: in which it computes.
        max_new_tokens: the longest answer.

    Yields:
        A function of a picture and a seed that returns what the model says, in one line. The same
        picture and seed give the same text.

    Raises:
        ModelError: not a captioner, or not a complete one.
    """
    with quiet_transformers():
        loaded = _load(folder, device, dtype)

    def describe(image: Image, seed: int) -> str:
        with quiet_transformers():
            return _ask(loaded, _fit(image), seed, max_new_tokens)

    try:
        yield describe
    finally:
        _free(loaded, device)


@dataclass(slots=True)
class _Loaded:
    folder: Path
    model: Any
    processor: Any


def _ask(loaded: _Loaded, image: Image, seed: int, max_new_tokens: int) -> str:
    import torch

    model = loaded.model
    inputs = _inputs(loaded, image)
    devices = [model.device] if model.device.type == "cuda" else []
    try:
        with torch.random.fork_rng(devices), torch.inference_mode():
            torch.manual_seed(seed)
            output = model.generate(
                **inputs,
                do_sample=True,
                temperature=TEMPERATURE,
                top_p=TOP_P,
                max_new_tokens=max_new_tokens,
            )
    except RuntimeError as error:
        if "probability tensor" not in str(error):
            raise
        raise ModelError(
            f"{loaded.folder}: its values are not finite", hint="try --dtype bf16 or fp32"
        ) from error
    answer = _without_prompt(output[0], inputs["input_ids"][0])
    return one_line(loaded.processor.decode(answer, skip_special_tokens=True))


def _inputs(loaded: _Loaded, image: Image) -> dict[str, Any]:
    """The picture and the question as tensors, on the model's device and in its precision."""
    import torch

    processor, model = loaded.processor, loaded.model
    if getattr(processor, "chat_template", None):
        content = [{"type": "image", "image": image}, {"type": "text", "text": QUESTION}]
        batch = processor.apply_chat_template(
            [{"role": "user", "content": content}],
            add_generation_prompt=True,
            tokenize=True,
            return_dict=True,
            return_tensors="pt",
        )
    else:  # as LLaVA-1.5 was trained, before there were templates
        text = f"USER: {getattr(processor, 'image_token', '<image>')}\n{QUESTION} ASSISTANT:"
        batch = processor(images=[image], text=[text], return_tensors="pt")
    return {
        name: value.to(model.device, model.dtype if value.is_floating_point() else value.dtype)
        for name, value in batch.items()
        if torch.is_tensor(value)
    }


def _without_prompt(output: torch.Tensor, prompt: torch.Tensor) -> torch.Tensor:
    """The new tokens: decoders repeat the prompt before them, encoder-decoders do not."""
    length = len(prompt)
    is_echo = len(output) >= length and bool((output[:length] == prompt).all())
    return output[length:] if is_echo else output


def _fit(image: Image) -> Image:
    from PIL import Image as PillowImage

    image = image.convert("RGB")
    if max(image.size) > LONGEST_EDGE:
        image.thumbnail((LONGEST_EDGE, LONGEST_EDGE), PillowImage.Resampling.LANCZOS)
    return image


def _load(folder: Path, device: torch.device, dtype: torch.dtype) -> _Loaded:
    from transformers import AutoModelForImageTextToText

    _check_files(folder)
    with _explained(folder):
        processor = _load_processor(folder)
        model, report = AutoModelForImageTextToText.from_pretrained(
            folder,
            dtype=dtype,
            use_safetensors=True,
            ignore_mismatched_sizes=True,  # refused below, by name
            output_loading_info=True,
            **_LOCAL,
        )
    _check_complete(report, folder)
    return _Loaded(folder, model.to(device).eval(), processor)


def _load_processor(folder: Path) -> Any:
    from transformers import AutoProcessor

    try:
        processor = AutoProcessor.from_pretrained(folder, **_LOCAL)
    except ImportError as error:
        if "torchvision" not in str(error).lower():
            raise
        processor = _load_processor_without_videos(folder)
    if not hasattr(processor, "image_processor"):
        raise ValueError("it reads no pictures")
    return processor


def _load_processor_without_videos(folder: Path) -> Any:
    """What takes videos as well (Qwen-VL, SmolVLM2) wants torchvision for them; we show none."""
    from transformers import AutoConfig, AutoImageProcessor, AutoTokenizer
    from transformers.models.auto.processing_auto import PROCESSOR_MAPPING

    published: Any = PROCESSOR_MAPPING[type(AutoConfig.from_pretrained(folder, **_LOCAL))]

    class ForPictures(published):  # type: ignore[misc]
        def check_argument_for_proper_class(self, name: str, argument: Any) -> Any:
            if name != "video_processor":
                return super().check_argument_for_proper_class(name, argument)

    parts = {
        "image_processor": AutoImageProcessor.from_pretrained(folder, **_LOCAL),
        "tokenizer": AutoTokenizer.from_pretrained(folder, **_LOCAL),
        "video_processor": None,
    }
    settings, rest = ForPictures.get_processor_dict(folder, local_files_only=True)
    ordered = [parts[name] for name in ForPictures.get_attributes()]
    return ForPictures.from_args_and_dict(ordered, settings, **rest)


def _check_files(folder: Path) -> None:
    if not (folder / "config.json").is_file():
        raise ModelError(f"{folder}: no captioner in this folder (config.json is not there)")
    if not any(folder.glob("*.safetensors")):
        raise ModelError(
            f"{folder}: no .safetensors weights in this folder",
            hint="other formats are not read: fetch it again, or convert it",
        )


def _check_complete(report: dict[str, Any], folder: Path) -> None:
    """Transformers fills gaps with random numbers and carries on; a captioner would babble."""
    misshapen = [key[0] if isinstance(key, tuple) else key for key in report["mismatched_keys"]]
    for what, names in (("missing", report["missing_keys"]), ("of another shape", misshapen)):
        if names:
            raise ModelError(
                f"{folder}: {len(names)} tensors are {what}: {', '.join(sorted(names)[:5])}",
                hint="the copy is incomplete, or the weights are of another model",
            )


@contextmanager
def _explained(folder: Path) -> Iterator[None]:
    """Whatever a strange folder makes transformers raise, in one line."""
    try:
        yield
    except Exception as error:
        reason = str(error) or type(error).__name__
        # Memory is not the folder's fault; torch has RuntimeErrors for it.
        if isinstance(error, MemoryError | RuntimeError) and "memory" in reason.lower():
            raise
        if "Unrecognized" in reason or "does not recognize" in reason:
            reason = "not a model that describes pictures"
        elif "trust_remote_code" in reason:
            reason = "needs code of its own, which is not run"
        hint = "give a folder of an image-text-to-text model, or fetch it again"
        raise ModelError(f"{folder}: {as_reason(reason)}", hint=hint) from error


def _free(loaded: _Loaded, device: torch.device) -> None:
    import gc

    import torch

    loaded.model = loaded.processor = None
    gc.collect()  # models refer to themselves
    if device.type == "cuda":
        torch.cuda.empty_cache()
    elif device.type == "mps":
        torch.mps.empty_cache()
