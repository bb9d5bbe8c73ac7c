"""Figures of pyiqa, as the paper has them, with weights that are here or that may be fetched.

pyiqa fetches weights without asking. Here it may not: every way to the network is closed while a
metric is made, and what it reaches for becomes one line that says which file goes where.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

from dit4sr_cli.core.digest import sha256_of
from dit4sr_cli.core.errors import UsageError
from dit4sr_cli.core.extras import load_module
from dit4sr_cli.core.words import as_reason, did_you_mean
from dit4sr_cli.evaluation.loaded import Loaded
from dit4sr_cli.evaluation.packages import as_tensor, version_of
from dit4sr_cli.evaluation.pixels import Image

LICENCE = (
    "pyiqa is under PolyForm Noncommercial 1.0.0 and parts of it under the S-Lab License 1.0: "
    "its figures are for noncommercial use"
)


@dataclass(frozen=True, slots=True)
class Facts:
    """What pyiqa says of one of its metrics."""

    compares: bool
    is_lower_better: bool


class _MissingWeights(Exception):
    """pyiqa reached for the network."""

    def __init__(self, source: str, place: str) -> None:
        super().__init__(source)
        self.source, self.place = source, place


def facts_of(name: str) -> Facts:
    """What is known of any of pyiqa's metrics.

    Raises:
        UsageError: pyiqa is not installed, or has no such metric.
    """
    configs = load_module("pyiqa.default_model_configs", f"metric iqa:{name}").DEFAULT_CONFIGS
    if name not in configs:
        raise UsageError(
            f"pyiqa has no metric {name!r}", hint=did_you_mean(name, configs) or "pyiqa --list"
        )
    config = configs[name]
    return Facts(config.get("metric_mode") == "FR", bool(config.get("lower_better", False)))


def load(name: str, fetch: bool = False) -> Loaded:
    """One of pyiqa's metrics, on the CPU.

    Args:
        name: as pyiqa has it.
        fetch: it may fetch weights that are not here.

    Raises:
        UsageError: pyiqa is not installed, or weights are missing.
    """
    pyiqa = load_module("pyiqa", f"metric {name}")
    read: dict[Path, None] = {}
    try:
        with _watched(read), contextlib.nullcontext() if fetch else _offline():
            metric = pyiqa.create_metric(name, device="cpu")
    except _MissingWeights as missing:
        raise UsageError(
            f"metric {name}: its weights are not here: {missing.source}",
            hint=f"put that file at {missing.place}, or let pyiqa fetch it with --fetch",
        ) from missing
    except ModuleNotFoundError as error:
        raise UsageError(
            f"metric {name} needs the package {error.name}, which is not installed",
            hint="pip install 'dit4sr[eval]'",
        ) from error
    except Exception as error:  # whatever a damaged file or a failed transfer makes of it
        raise UsageError(
            f"metric {name} cannot be loaded: {as_reason(error)}",
            hint=_damaged(read) if not fetch else "",
        ) from error
    version = ", ".join([f"{version_of('pyiqa')} {name}", *_digests(read)])
    return Loaded(_of_sets(metric) if name == "fid" else _of_pictures(metric), version, LICENCE)


def _of_pictures(metric: Any) -> Any:
    def measure(result: Image, reference: Image | None = None) -> float:
        import torch

        pictures = [as_tensor(image) for image in (result, reference) if image is not None]
        torch.manual_seed(0)  # some look at crops that they draw
        return float(metric(*pictures[: 2 if metric.metric_mode == "FR" else 1]))

    return measure


def _of_sets(metric: Any) -> Any:
    def measure(results: Path, references: Path) -> float:
        return float(metric(str(results), str(references), num_workers=0, verbose=False))

    return measure


# ---------------------------------------------------------------- weights


@contextlib.contextmanager
def _offline() -> Iterator[None]:
    """Whatever would fetch a file raises _MissingWeights instead."""
    import urllib.request

    import huggingface_hub.constants
    import torch.hub

    def refuse_download(url: str, place: str, *args: object, **how: object) -> None:
        raise _MissingWeights(url, str(place))

    def refuse_opening(request: Any, *args: object, **how: object) -> None:
        url = getattr(request, "full_url", request)
        raise _MissingWeights(url, f"{torch.hub.get_dir()}/clip/{Path(url).name}")

    download_util = load_module("pyiqa.utils.download_util", "pyiqa")
    with contextlib.ExitStack() as stack:
        for owner in (torch.hub, download_util):
            stack.enter_context(mock.patch.object(owner, "download_url_to_file", refuse_download))
        stack.enter_context(mock.patch.object(urllib.request, "urlopen", refuse_opening))
        stack.enter_context(mock.patch.object(huggingface_hub.constants, "HF_HUB_OFFLINE", True))
        stack.enter_context(_naming_repositories())
        yield


@contextlib.contextmanager
def _naming_repositories() -> Iterator[None]:
    """Timm asks the hub for a repository; offline it says no more than that it is not there."""
    try:
        hub = load_module("timm.models._hub", "pyiqa")
    except UsageError:
        yield
        return
    original = hub.hf_hub_download

    def download(repo_id: str, filename: str, *args: Any, **how: Any) -> Any:
        try:
            return original(repo_id, filename, *args, **how)
        except OSError as error:
            from huggingface_hub.constants import HF_HUB_CACHE

            folder = f"{HF_HUB_CACHE}/models--{repo_id.replace('/', '--')}"
            raise _MissingWeights(
                f"https://huggingface.co/{repo_id}", f"{folder}/snapshots"
            ) from error

    with mock.patch.object(hub, "hf_hub_download", download):
        yield


@contextlib.contextmanager
def _watched(read: dict[Path, None]) -> Iterator[None]:
    """Notes which files of weights are read: they are part of a figure's version."""
    import torch

    def noting(original: Any) -> Any:
        def load(source: Any, *args: Any, **how: Any) -> Any:
            name = getattr(source, "name", source)
            if isinstance(name, (str, Path)):
                read[Path(name)] = None
            return original(source, *args, **how)

        return load

    with contextlib.ExitStack() as stack:
        for owner in (torch, torch.jit):  # CLIP is a script
            stack.enter_context(mock.patch.object(owner, "load", noting(owner.load)))
        yield


def _digests(read: dict[Path, None]) -> list[str]:
    return [f"{path.name} sha256:{sha256_of(path)[:16]}" for path in read]


def _damaged(read: dict[Path, None]) -> str:
    return f"is {list(read)[-1]} damaged? remove it and fetch it again" if read else ""
