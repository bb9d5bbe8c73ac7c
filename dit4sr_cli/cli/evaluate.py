"""`dit4sr eval`: folders of pictures, and of results, to a table of figures."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dit4sr_cli.cli import options
from dit4sr_cli.cli.console import console
from dit4sr_cli.cli.progress import Progress
from dit4sr_cli.cli.settings import caption_settings, model_settings, upscale_settings
from dit4sr_cli.core.errors import UsageError
from dit4sr_cli.core.types import CaptionChoice, DeviceChoice, Precision

if TYPE_CHECKING:
    from dit4sr_cli.core.events import Observer
    from dit4sr_cli.evaluation.methods import Method

_FORMATS = ("md", "latex", "csv", "json")

Inputs = Annotated[
    Path,
    typer.Argument(
        metavar="INPUTS", help="Folder of small pictures, or of a set: test_LR and test_HR in it."
    ),
]
Reference = Annotated[
    Path | None,
    typer.Option(metavar="DIR", help="Folder of the originals, matched by name. [as the set says]"),
]
Outputs = Annotated[
    list[str] | None,
    typer.Option(metavar="NAME=DIR", help="Results made elsewhere, as one more row. Repeatable."),
]
Models = Annotated[
    list[str] | None,
    typer.Option(
        "--model",
        metavar="[NAME=]MODEL",
        help="A model to run, as in upscale, under a name of its own if you like; repeatable. "
        "[auto]",
    ),
]
Baselines = Annotated[
    list[str] | None,
    typer.Option(
        "--baseline",
        metavar="NAME=FILE",
        help="A checkpoint that spandrel knows (ESRGAN, SwinIR, SPAN, ...), as one more row; "
        "needs dit4sr[peers]. Repeatable.",
    ),
]
Metrics = Annotated[
    str,
    typer.Option(
        metavar="A,B",
        help="psnr, ssim, sharpness, niqe; with dit4sr[eval]: stlpips, stlpips-vgg, dss, haarpsi, "
        "gmsd, cvvdp, and of pyiqa piqe, lpips, dists, musiq, maniqa, maniqa-pipal, clipiqa+, "
        "liqe, fid, iqa:NAME; or default, paper, all. With ? behind it: only where it loads.",
    ),
]
Fetch = Annotated[
    bool, typer.Option("--fetch", help="Let pyiqa fetch weights of metrics that are not here.")
]
BenchmarkName = Annotated[
    str | None,
    typer.Option(
        "--benchmark",
        metavar="NAME",
        help="DrealSR, RealSR, RealLR200 or RealLQ250. [by the folder's name]",
    ),
]
Paper = Annotated[
    str | None,
    typer.Option(
        metavar="NAME", help="Show the paper's figures on this benchmark, whatever is measured."
    ),
]
AgainstRow = Annotated[
    str | None, typer.Option("--against", metavar="NAME", help="The row to compare with. [bicubic]")
]
TableFormat = Annotated[
    str, typer.Option("--format", metavar="NAME", help="md, latex, csv or json.")
]
Factor = Annotated[
    float,
    typer.Option(
        "--scale", min=1, max=8, metavar="FACTOR", help="Enlarge by this, without references."
    ),
]
Save = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR",
        help="Keep results and scores; the same command goes on where it was interrupted.",
    ),
]
Sheet = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Write a PNG that shows them side by side.")
]
SheetCrop = Annotated[
    int,
    typer.Option(min=0, metavar="PX", help="Side of the squares on the sheet; 0 shows everything."),
]
NoModel = Annotated[
    bool, typer.Option("--no-model", help="Run no model: bicubic, --baseline and --outputs only.")
]
StudyFolder = Annotated[
    Path | None,
    typer.Option(
        "--study", metavar="DIR", help="Tabulate the runs of dit4sr train --study by variant."
    ),
]


def evaluate(
    inputs: Inputs,
    reference: Reference = None,
    outputs: Outputs = None,
    metrics: Metrics = "default",
    fetch: Fetch = False,
    model: Models = None,
    no_model: NoModel = False,
    baseline: Baselines = None,
    study: StudyFolder = None,
    benchmark: BenchmarkName = None,
    paper: Paper = None,
    against: AgainstRow = None,
    format: TableFormat = "md",
    scale: Factor = 4.0,
    save: Save = None,
    sheet: Sheet = None,
    sheet_crop: SheetCrop = 256,
    steps: options.Steps = None,
    guidance: options.Guidance = None,
    seed: options.Seed = 0,
    color_fix: options.Colors = None,
    tile: options.Tile = None,
    overlap: options.Overlap = None,
    prompts: options.Prompts = None,
    caption: options.CaptionMode = CaptionChoice.AUTO,
    captioner: options.CaptionerName = "auto",
    device: options.Device = DeviceChoice.AUTO,
    dtype: options.Dtype = Precision.AUTO,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
    json: options.Json = False,
) -> None:
    """Measure models and other systems, side by side."""
    given = {**locals()}
    from dit4sr_cli.evaluation import report, run, tables
    from dit4sr_cli.evaluation import study as studies
    from dit4sr_cli.evaluation.metrics import split

    console.open(quiet=quiet, verbose=verbose, as_json=json)
    if format not in _FORMATS:
        raise UsageError(f"--format {format}: no such format", hint=f"{', '.join(_FORMATS)}")
    if no_model and model:
        raise UsageError("--model and --no-model exclude each other", hint="give one of them")
    with Progress("eval") as progress:
        method_of = _maker(given, progress)
        names = [] if no_model else (model or ([] if study else ["auto"]))
        wanted = run.Comparison(
            inputs=inputs,
            references=reference,
            methods=[*_models(names, method_of), *_baselines(baseline or [])],
            outputs=_named("--outputs", outputs or []),
            metrics=split(metrics),
            scale=scale,
            benchmark=benchmark,
            paper=_paper(paper),
            against=against,
            fetch=fetch,
        )
        keep = run.Keep(folder=save, sheet=sheet, crop=sheet_crop or None)
        if study is not None:
            found = studies.tabulate(
                studies.read_study(study), wanted, method_of=method_of, keep=keep, observe=progress
            )
            text, record = studies.rendered(found, format), studies.as_dict(found)
        else:
            compared = run.evaluate(wanted, keep=keep, observe=progress)
            text, record = tables.rendered(compared, format), report.to_dict(compared)
    console.result(text, {"command": "eval", **record})


def _paper(name: str | None) -> str | None:
    from dit4sr_cli.evaluation.benchmarks import by_name

    return by_name(name).name if name else None


def _named(option: str, texts: Sequence[str]) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for text in texts:
        name, separator, path = text.partition("=")
        if not (name and separator and path):
            raise UsageError(f"{option} {text} is not NAME=PATH", hint=f"as in {option} other=PATH")
        if name in found:
            raise UsageError(f"{option} names {name} twice", hint="give each its own name")
        found[name] = Path(path)
    return found


def _baselines(texts: Sequence[str]) -> list[Method]:
    if not texts:
        return []
    from dit4sr_cli.evaluation.baselines import baseline

    return [baseline(name, path) for name, path in _named("--baseline", texts).items()]


def _models(texts: Sequence[str], method_of: Callable[[str, str], Method]) -> list[Method]:
    """`NAME=MODEL` is a model under a name of its own; a folder may hold a `=`, too."""
    methods = []
    for text in texts:
        name, separator, model = text.partition("=")
        is_named = separator and name and model and not Path(text).exists()
        methods.append(method_of(name if is_named else "", model if is_named else text))
    return methods


# ---------------------------------------------------------------- a model as a method


def _maker(given: Mapping[str, Any], observe: Observer) -> Callable[[str, str | Path], Method]:
    """Models by row's name (empty: the model's own) and name or folder, with the options given."""
    settings = upscale_settings({**given, "scale": None, "model": None})
    captions = caption_settings(given)

    def method_of(name: str, model: str | Path) -> Method:
        from dit4sr_cli.evaluation.methods import Method
        from dit4sr_cli.jobs.upscale import load_upscaler
        from dit4sr_cli.weights.resolve import resolve

        chosen = model_settings({**given, "model": str(model)}, settings)
        found = resolve(chosen.model)
        key = _key(found, chosen, settings, captions)

        def load(cases: Sequence[Any]) -> Any:
            from dit4sr_cli.core.events import PhaseStarted

            texts = _captions(cases, found.spec.text, chosen, settings, captions, observe)
            observe(PhaseStarted(f"load {found.name}"))
            upscaler = load_upscaler(chosen, observe)
            if texts:
                observe(PhaseStarted("encoding text"))
                upscaler.learn([one.text for one in texts.values()], guidance=settings.guidance)
            plain: dict[str, Any] = {
                "steps": settings.steps,
                "guidance": settings.guidance,
                "seed": settings.seed,
                "color_fix": settings.color_fix,
                "tile": settings.tile,
                "overlap": settings.overlap,
            }

            def enlarge(case: Any, small: Any, scale: float) -> Any:
                words = texts.get(case.name)
                more = {} if words is None else _as_prompt(words)
                done = upscaler.upscale(small, scale=scale, observe=observe, **plain, **more)
                return done.pixels

            return enlarge

        return Method(name or found.name, load, key)

    return method_of


def _key(found: Any, chosen: Any, settings: Any, captions: Any) -> Callable[[Any], str]:
    """All that decides about a result besides the picture: weights, settings, words."""
    from dit4sr_cli.captions.source import written_caption
    from dit4sr_cli.weights.identity import weight_digests

    common = f"{weight_digests(found, t5=chosen.t5)} {chosen} {settings} {found.spec}"

    def key(case: Any) -> str:
        if not found.spec.text:
            return common
        written = written_caption(case.picture, prompts=captions.prompts)
        words = written.text if written else f"{captions.caption} {captions.captioner}"
        return f"{common} {words}"

    return key


def _captions(
    cases: Sequence[Any],
    reads_text: bool,
    chosen: Any,
    settings: Any,
    captions: Any,
    observe: Observer,
) -> dict[str, Any]:
    """What each small picture shows, before the model needs the memory."""
    if not reads_text:
        return {}
    from dit4sr_cli.evaluation.methods import load_picture
    from dit4sr_cli.jobs.caption import finding

    with finding(
        settings=captions,
        device=chosen.device,
        precision=chosen.precision,
        seed=settings.seed,
        observe=observe,
    ) as find:
        return {case.name: find(case.picture, load_picture(case.picture)) for case in cases}


def _as_prompt(words: Any) -> dict[str, Any]:
    return {"prompt": words.text, "prompt_origin": words.origin} if words.origin != "none" else {}
