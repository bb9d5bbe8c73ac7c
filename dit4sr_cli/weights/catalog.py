"""The published models and what they are made of: a table, nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from dit4sr_cli.model.config import RELEASED_INJECTION_SCALE, Wiring


class Kind(str, Enum):
    """What a part is for, and with that, which files of its repository are wanted."""

    TRANSFORMER = "transformer"
    BASE = "base"
    CAPTIONER = "captioner"


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """What is fetched as one, into a folder of its name.

    Args:
        repo: on the hub.
        folder: the only folder of the repository that is wanted; empty: its root.
        licence: a key of `licence.LICENCES`.
        gated: the hub asks for an accepted licence and a token.
        gigabytes: to fetch, about (10^9 bytes, in 16 bits where the repository has them).
    """

    name: str
    kind: Kind
    repo: str
    folder: str = ""
    licence: str
    gated: bool = False
    gigabytes: float

    @property
    def url(self) -> str:
        """The page where people read about it and accept its licence."""
        return f"https://huggingface.co/{self.repo}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A named model: the part with its transformer, its base, and how its weights must be run."""

    name: str
    base: str
    wiring: Wiring
    injection_scale: float = RELEASED_INJECTION_SCALE
    steps: int = 40
    guidance: float = 8.0
    licence: str = "dit4sr"


MAIN = "main"
"""The branch that is fetched unless another is asked for."""
SD35 = "sd3.5-medium"
SD35_TRANSFORMER = f"{SD35}-transformer"
"""What training starts from; no picture is made with it."""
DEFAULT_MODEL = "dit4sr-q"

_DIT4SR = "acceptee/DiT4SR"

MODELS = {
    model.name: model
    for model in (
        Model(name=DEFAULT_MODEL, base=SD35, wiring="legacy"),
        Model(name="dit4sr-f", base=SD35, wiring="legacy"),
        Model(name="dit4sr-r1", base=SD35, wiring="r1"),
    )
}
"""By name, the preferred one first; the part with a model's transformer has the model's name."""

PARTS = {
    part.name: part
    for part in (
        *(
            Part(
                name=name,
                kind=Kind.TRANSFORMER,
                repo=_DIT4SR,
                folder=name.replace("-", "_"),
                licence="dit4sr",
                gigabytes=5.5,
            )
            for name in MODELS
        ),
        Part(
            name=SD35,
            kind=Kind.BASE,
            repo="stabilityai/stable-diffusion-3.5-medium",
            licence="stability-community",
            gated=True,
            gigabytes=11.5,
        ),
        Part(
            name=SD35_TRANSFORMER,
            kind=Kind.TRANSFORMER,
            repo="stabilityai/stable-diffusion-3.5-medium",
            licence="stability-community",
            gated=True,
            gigabytes=4.9,
        ),
        Part(
            name="llava-1.5-13b",
            kind=Kind.CAPTIONER,
            repo="llava-hf/llava-1.5-13b-hf",
            licence="llama2",
            gigabytes=26.7,
        ),
        Part(
            name="llava-1.5-7b",
            kind=Kind.CAPTIONER,
            repo="llava-hf/llava-1.5-7b-hf",
            licence="llama2",
            gigabytes=14.1,
        ),
        Part(
            name="qwen3-vl-2b",
            kind=Kind.CAPTIONER,
            repo="Qwen/Qwen3-VL-2B-Instruct",
            licence="apache-2.0",
            gigabytes=4.3,
        ),
        Part(
            name="smolvlm",
            kind=Kind.CAPTIONER,
            repo="HuggingFaceTB/SmolVLM-Instruct",
            licence="apache-2.0",
            gigabytes=4.5,
        ),
    )
}
"""By name; captioners in the order in which `auto` prefers them, the paper's first."""


def captioners() -> list[str]:
    """Names of the captioners, the preferred one first."""
    return [part.name for part in PARTS.values() if part.kind is Kind.CAPTIONER]


def parts_of(name: str) -> list[Part]:
    """What a name stands for: a model is its transformer and its base."""
    model = MODELS.get(name)
    return [PARTS[name], PARTS[model.base]] if model else [PARTS[name]]
