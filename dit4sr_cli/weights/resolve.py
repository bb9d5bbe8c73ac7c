"""A model's name to its folders, by ordered rules; `auto` prefers published weights to nano."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from dit4sr_cli.core.errors import ModelError
from dit4sr_cli.core.paths import models_dir
from dit4sr_cli.core.words import did_you_mean
from dit4sr_cli.weights.catalog import MODELS, PARTS, SD35, Kind, captioners
from dit4sr_cli.weights.registry import UserModel, user_models
from dit4sr_cli.weights.shelf import OnShelf, State, holds, look_up
from dit4sr_cli.weights.spec import ModelSpec, read_spec

AUTO = "auto"
NANO = "nano"
NONE = "none"
PUBLISHED = tuple(MODELS)
"""Names of the published models, the preferred one first."""


@dataclass(frozen=True, slots=True)
class Resolved:
    """A model that can be loaded.

    Args:
        folder: holds `transformer/`, and for the embedded model `codec/`.
        rule: how it was found, in a word or two.
        base: holds `vae/`, `tokenizer*/` and `text_encoder*/`; the same folder if they are there.
        spec: its defaults and needs, the catalog's and the user's values applied.
        revision: the commit that was pulled; empty: not known.
    """

    name: str
    folder: Path
    rule: str
    base: Path
    spec: ModelSpec
    revision: str = ""


@dataclass(frozen=True, slots=True)
class Captioner:
    """A vision-language model that can be loaded from a folder."""

    name: str
    folder: Path
    revision: str = ""


def embedded_dir() -> Path:
    """Where the models that ship with the package are."""
    return Path(__file__).resolve().parent.parent / "embedded"


def resolve(model: str = AUTO) -> Resolved:
    """Find a model.

    Args:
        model: `auto`, `nano`, a name in models.toml, a published name, a name in the models
            folder, or a folder.

    Raises:
        ModelError: there is no such model, or it is not complete.
    """
    if model == AUTO:
        return _first_published() or _nano()
    if model == NANO:
        return _nano()
    if mine := user_models().get(model):
        return _from_toml(mine)
    if model in PUBLISHED:
        return _published(model)
    named = models_dir() / model
    if _is_plain_name(model) and model not in PARTS and _holds_model(named):
        return _from_folder(model, named, "models folder")
    folder = Path(model).expanduser()
    if _holds_model(folder):
        return _from_folder(folder.resolve().name, folder, "path")
    raise ModelError(_explain(model, folder), hint=_hint(model))


def installed() -> list[Resolved]:
    """Every model that can be loaded by name, the embedded one first; what is broken is left out.

    Raises:
        ModelError: models.toml is broken.
    """
    others = (name for name in names() if name != NANO)
    return [_nano(), *(found for name in others if (found := _or_none(resolve, name)) is not None)]


def resolve_captioner(name: str = AUTO) -> Captioner | None:
    """Find a captioner.

    Args:
        name: `auto`: the first that is here, if any; `none`; a published name; or a folder.

    Raises:
        ModelError: a captioner that was named is not there.
    """
    if name == NONE:
        return None
    if name == AUTO:
        here = (look_up(known) for known in captioners())
        return next((_captioner(found) for found in here if found.is_usable), None)
    if name in captioners():
        found = look_up(name)
        if found.is_usable:
            return _captioner(found)
        raise _not_usable(found)
    folder = Path(name).expanduser()
    if holds(Kind.CAPTIONER, folder):
        return Captioner(folder.resolve().name, folder)
    hint = did_you_mean(name, captioners())
    hint = hint or f"give a folder with config.json, or one of: {', '.join(captioners())}"
    raise ModelError(f"{name}: no such captioner", hint=hint)


def catalog_spec(name: str) -> ModelSpec:
    """How a published model's weights are to be run."""
    model = MODELS[name]
    return ModelSpec(
        name=name,
        licence=model.licence,
        steps=model.steps,
        guidance=model.guidance,
        wiring=model.wiring,
        injection_scale=model.injection_scale,
        base=model.base,
    )


def _nano() -> Resolved:
    folder = embedded_dir() / NANO
    return Resolved(NANO, folder, "embedded", folder, read_spec(folder))


def _first_published() -> Resolved | None:
    found = (_or_none(_published, name) for name in PUBLISHED)
    return next((model for model in found if model is not None), None)


def _or_none(find: Callable[[str], Resolved], name: str) -> Resolved | None:
    try:
        return find(name)
    except ModelError:
        return None


def _published(name: str) -> Resolved:
    """A model of the catalog, pulled or put into the models folder by hand."""
    found = look_up(name)
    if not found.is_usable:
        raise _not_usable(found)
    spec = replace(read_spec(found.folder, catalog_spec(name)), name=name)
    rule = "pulled" if found.manifest else "models folder"
    revision = found.manifest.commit if found.manifest else ""
    return Resolved(name, found.folder, rule, _base(found.folder, spec, name), spec, revision)


def _from_toml(model: UserModel) -> Resolved:
    if not _holds_model(model.folder):
        raise ModelError(
            f"{model.where}: no model in {model.folder} (transformer/config.json is not there)"
        )
    spec = model.apply(read_spec(model.folder))
    base = _base(model.folder, spec, model.name)
    return Resolved(model.name, model.folder, "models.toml", base, spec)


def _from_folder(name: str, folder: Path, rule: str) -> Resolved:
    spec = read_spec(folder)
    return Resolved(name, folder, rule, _base(folder, spec, name), spec)


def _base(folder: Path, spec: ModelSpec, name: str) -> Path:
    """Where the VAE and the text encoders are: with the model, as its spec says, or pulled."""
    if spec.codec != "vae" or holds(Kind.BASE, folder):
        return folder
    if spec.base and spec.base not in PARTS:
        base = folder / Path(spec.base).expanduser()
        if holds(Kind.BASE, base):
            return base
        raise ModelError(f"{name}: no VAE in its base {base} (vae/config.json is not there)")
    pulled = look_up(spec.base or SD35)
    if pulled.is_usable:
        return pulled.folder
    if any(folder.glob("text_encoder*")):  # all but the VAE: say that, where it is missed
        return folder
    problem = _not_usable(pulled)
    target = name if name in PUBLISHED else pulled.part.name
    raise ModelError(
        f"{name}: its VAE and text encoders are neither in its folder nor pulled "
        f"({problem.message})",
        hint=f"dit4sr models pull {target}",
    )


def _captioner(found: OnShelf) -> Captioner:
    revision = found.manifest.commit if found.manifest else ""
    return Captioner(found.part.name, found.folder, revision)


def _not_usable(found: OnShelf) -> ModelError:
    name = found.part.name
    if found.state is State.PARTLY:
        problem = f"{name}: only partly on this machine ({found.root})"
    else:
        problem = f"{name}: not on this machine (looked in {found.root})"
    return ModelError(problem, hint=f"dit4sr models pull {name}")


def _holds_model(folder: Path) -> bool:
    return holds(Kind.TRANSFORMER, folder)


def names() -> list[str]:
    """Every name that is known, whether or not it can be loaded; the embedded one first.

    Raises:
        ModelError: models.toml is broken.
    """
    folder = models_dir()
    there = sorted(folder.iterdir()) if folder.is_dir() else []
    by_hand = [path.name for path in there if path.name not in PARTS and _holds_model(path)]
    return list(dict.fromkeys([NANO, *user_models(), *PUBLISHED, *by_hand]))


def _is_plain_name(model: str) -> bool:
    return Path(model).name == model and model not in ("", ".", "..")


def _explain(model: str, folder: Path) -> str:
    if model in PARTS:
        return f"{model}: a {PARTS[model].kind.value}, not a model"
    if folder.is_dir():
        return f"{model}: no model in this folder (transformer/config.json is not there)"
    return f"{model}: no such model"


def _hint(model: str) -> str:
    known = names()
    meant = did_you_mean(model, [*known, *PARTS])
    return meant or f"give the folder of a model, or one of: {', '.join([AUTO, *known])}"
