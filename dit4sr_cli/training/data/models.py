"""The parts of a model that data are prepared for: its codec and its text encoders, and no more."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

from dit4sr_cli.core import events
from dit4sr_cli.core.errors import ModelError
from dit4sr_cli.model.config import TransformerConfig
from dit4sr_cli.weights.catalog import PARTS, SD35, Kind
from dit4sr_cli.weights.files import digest
from dit4sr_cli.weights.identity import weight_digests
from dit4sr_cli.weights.resolve import Resolved, resolve
from dit4sr_cli.weights.shelf import holds, look_up
from dit4sr_cli.weights.spec import ModelSpec
from dit4sr_cli.weights.transformer import read_config

TEXT_PARTS = ("text_encoder", "text_encoder_2", "text_encoder_3")


def find_model(model: str) -> Resolved:
    """A model, or the base that one is to be trained from: a VAE and text encoders will do.

    Raises:
        ModelError: there is no such model.
    """
    if model in PARTS and PARTS[model].kind is Kind.BASE:
        pulled = look_up(model)
        if not pulled.is_usable:
            raise ModelError(
                f"{model}: not on this machine (looked in {pulled.root})",
                hint=f"dit4sr models pull {model}",
            )
        return _base(pulled.folder, model)
    folder = Path(model).expanduser()
    if holds(Kind.BASE, folder) and not holds(Kind.TRANSFORMER, folder):
        return _base(folder, folder.resolve().name)
    return resolve(model)


def codec_fingerprint(found: Resolved, observe: events.Observer = events.ignore) -> str:
    """What tells a model's codec from others: a digest of its weights and its settings."""
    if found.spec.codec == "block":
        return _fingerprint(found, ["codec"], [found.folder / "codec"], observe)
    return _fingerprint(found, ["vae"], [found.base / "vae"], observe)


def text_fingerprint(
    found: Resolved, *, t5: bool = True, observe: events.Observer = events.ignore
) -> str:
    """What tells a model's text encoders from others: a digest of their weights and settings."""
    parts = [part for part in TEXT_PARTS if (found.base / part).is_dir()]
    parts = parts if t5 else [part for part in parts if part != TEXT_PARTS[-1]]
    return _fingerprint(found, parts, [found.base / part for part in parts], observe)


def text_config(found: Resolved) -> TransformerConfig:
    """The transformer that the text is for; for a base alone, SD3.5 medium's."""
    folder = found.folder / "transformer"
    if not (folder / "config.json").is_file():
        return TransformerConfig()
    return read_config(folder, found.spec.wiring, found.spec.injection_scale)


def _base(folder: Path, name: str) -> Resolved:
    return Resolved(name, folder, "base", folder, ModelSpec(name=name, base=SD35))


def _fingerprint(
    found: Resolved, parts: Sequence[str], folders: Sequence[Path], observe: events.Observer
) -> str:
    digests = dict(weight_digests(found, parts=parts, observe=observe))
    for folder in folders:
        digests[f"{folder.name}/config.json"] = digest(folder / "config.json")
    known = json.dumps(digests, sort_keys=True)
    return f"sha256:{hashlib.sha256(known.encode()).hexdigest()}"
