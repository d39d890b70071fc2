"""The command line: every command, thin, in the order of the flow."""

from __future__ import annotations

import dataclasses
import json
import logging
import signal
import sys
import threading
from collections.abc import Callable
from dataclasses import MISSING
from pathlib import Path
from typing import Any, get_type_hints

import click

from pgc_data import __version__
from pgc_data.config import Config, element_type, flag_name
from pgc_data.datasets import DATASETS, Dataset, dataset
from pgc_data.downloads.sources import OFFERS
from pgc_data.errors import PgcDataError
from pgc_data.models.registry import ARCHITECTURES, architecture, can_train
from pgc_data.paths import as_path
from pgc_data.recipes import STAGES, Stage, Step, load_recipe, run_recipe
from pgc_data.stages import explain_ablate, explain_heatmaps, features_inspect, live, predict
from pgc_data.stages.summary import Summary, aligned

_HELP = {
    "download": "Get a dataset into the workspace: resumes, checks hashes, asks for its licence.",
    "synthesize": "Draw hands in a dataset's raw layout: to try everything without its data.",
    "prepare": "Read a dataset's annotation: writes samples.parquet, copies nothing.",
    "extract": "Find hands in every frame: landmarks, tracks, PNG crops.",
    "to-parquet": "Write tables split by group: crops and landmark windows that load anywhere.",
    "subset": "Write some rows of a dataset as a new one: by class, person, split or quality.",
    "merge": "Write several datasets as a new one: one group a person, none in two splits.",
    "audit": "Report leaks, skew and damage: exit status 1 on a leak or damage, or on what --fail-on names.",
    "cache": "Decode crops once: arrays that trainers map into memory.",
    "push-to-hub": "Publish a dataset on the Hugging Face Hub: checks licences, goes on where it was stopped.",
    "predict": "Say what a pointing model sees: in images, folders of them, and Parquet tables.",
    "heatmaps": "Draw where in an image each layer of a pointing model answers.",
    "ablate": "Switch off a pointing model's layers one by one: which its answer needs.",
    "export-onnx": "Write a trained model as ONNX: checked against torch; float16 and int8 forms; their speed.",
    "live": "Run a model on a camera or a video: hands found, judged, debounced, drawn, recorded.",
    "inspect": "Draw one landmark window: its hands, and its features as curves over time.",
}


class _InOrder(click.Group):
    """Lists commands in the order of the flow, and turns our errors into one line and an exit status."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except PgcDataError as error:
            if ctx.params.get("debug"):
                raise
            click.echo(f"pgc-data: {error}", err=True)
            sys.exit(error.exit_code)
        except (click.exceptions.Exit, click.ClickException, click.Abort):
            raise
        except KeyboardInterrupt:
            click.echo(
                "pgc-data: stopped; what is finished is kept: run the same command again to go on", err=True
            )
            sys.exit(130)
        except Exception as error:
            if ctx.params.get("debug"):
                raise
            kind = type(error).__name__
            click.echo(
                f"pgc-data: unexpected {kind}: {error}; what is finished is kept. `pgc-data --debug "
                f"{ctx.invoked_subcommand} ...` shows where: please report it",
                err=True,
            )
            sys.exit(1)


class _PathType(click.ParamType[Path]):
    """A folder or file of this machine or of an object store."""

    name = "path"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        return as_path(value) if isinstance(value, str) else value


_PATH = _PathType()


def _interrupt(number: int, frame: object) -> None:
    """Ends on SIGTERM as on Ctrl-C: workers are stopped, half-written files removed."""
    raise KeyboardInterrupt


@click.group(cls=_InOrder, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="pgc-data")
@click.option("--debug", is_flag=True, help="Show tracebacks and debug messages.")
@click.option("-v", "--verbose", is_flag=True, help="Show what is done along the way.")
def main(debug: bool, verbose: bool) -> None:
    """Build gesture datasets: hand crops and landmark windows in Parquet whose splits do not leak.

    \b
    pgc-data run demo                            try it: no data, no account
    pgc-data prepare ipn                         then: extract ipn
    pgc-data to-parquet ipn --vocabulary pointing
    pgc-data audit ipn-pointing
    """
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, _interrupt)
    level = logging.DEBUG if debug else logging.INFO if verbose else logging.WARNING
    logging.basicConfig(level=level, format="%(message)s")
    logging.getLogger("matplotlib").setLevel(logging.WARNING)


@main.command("datasets", short_help="List the datasets")
@click.argument("name", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def datasets_command(name: str | None, as_json: bool) -> None:
    """List the datasets: classes, samples, people, licence, citation, and what can be downloaded from where."""
    chosen = [dataset(name)] if name is not None else list(DATASETS.values())
    if as_json:
        facts = [{**d.as_dict(), "offers": _offers(d.id)} for d in chosen]
        click.echo(json.dumps(facts, indent=2, ensure_ascii=False))
        return
    for d in chosen:
        click.echo(f"{d.id}: {d.title}, {f'{len(d.labels)} labels' if d.labels else 'any labels'}")
        click.echo("\n".join(aligned(_facts(d))))


def _facts(d: Dataset) -> list[tuple[str, str]]:
    subjects = "unpublished" if d.subjects is None else f"{d.subjects:,}"
    accept = " (must be accepted: --accept-license)" if d.licence.must_accept else ""
    rows = [
        ("samples", d.samples), ("subjects", subjects), ("size", d.size), ("page", d.homepage),
        ("licence", f"{d.licence.name}{accept}: {d.licence.summary}"), ("cite", d.citation),
    ]  # fmt: skip
    for offer in _offers(d.id):
        size = "" if offer["bytes"] is None else f", {offer['bytes'] / 1e9:,.1f} GB"
        rows.append(
            ("download", f"{offer['subset']}: {offer['what']}{size}, from {', '.join(offer['sources'])}")
        )
    return rows


def _offers(name: str) -> list[dict[str, Any]]:
    """What can be downloaded of a dataset, the default first."""
    return [
        {
            "subset": offer.subset, "what": offer.what, "bytes": offer.bytes,
            "sources": [source.kind for source in offer.sources],
        }
        for offer in OFFERS.get(name, ())
    ]  # fmt: skip


@main.command("models", short_help="List the models")
@click.argument("name", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def models_command(name: str | None, as_json: bool) -> None:
    """List the models that can be trained: parameters, input, source, presets.

    Parameters are counted by building each model, which takes `pgc-data[train]`.
    """
    chosen = [architecture(name)] if name is not None else list(ARCHITECTURES.values())
    if as_json:
        click.echo(json.dumps([found.as_dict() for found in chosen], indent=2, ensure_ascii=False))
        return
    for found in chosen:
        click.echo(f"{found.name}: {found.summary}")
        click.echo("\n".join(aligned(found.facts())))
    if not can_train():
        click.echo("parameters are those published; to count all of them: pip install 'pgc-data[train]'")


def _stage_command(stage: Stage) -> click.Command:
    """The command of a stage: arguments and options come from its configuration."""

    def call(dry_run: bool, as_json: bool, **values: Any) -> None:
        if "datasets" in values:
            values["datasets"] += values.pop("dataset")
        config = stage.config(**values)
        summary = stage.plan(config) if dry_run else stage.run(config)
        _show(summary, as_json)
        sys.exit(summary.exit_code)

    parameters = [*_parameters(stage.config), *_COMMON]
    if any(parameter.name == "datasets" for parameter in parameters):
        same = "Extracted source to read; the same as naming it without an option."
        parameters.insert(1, click.Option(["--dataset"], multiple=True, help=same))
    text = _HELP[stage.name]
    return click.Command(
        stage.name, callback=call, params=parameters, help=text, short_help=text.split(":")[0]
    )


_COMMON: list[click.Parameter] = [
    click.Option(["--dry-run"], is_flag=True, help="Say what would be read and written, and do nothing."),
    click.Option(["--json", "as_json"], is_flag=True, help="Print the summary as JSON."),
]


def _show(summary: Summary, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(summary.as_dict(), indent=2, ensure_ascii=False))
    else:
        click.echo("\n".join(summary.lines()))


def _parameters(kind: type[Config]) -> list[click.Parameter]:
    """Click parameters for the fields of a configuration: arguments first, `--workspace` last."""
    hints = get_type_hints(kind)
    fields = sorted(
        dataclasses.fields(kind), key=lambda f: (not f.metadata["argument"], f.name == "workspace")
    )
    return [_parameter(field, *element_type(hints[field.name])) for field in fields]


def _parameter(field: dataclasses.Field[Any], type_: Any, many: bool) -> click.Parameter:
    limits, required = field.metadata, field.default is MISSING
    kind = _click_type(type_, limits)
    if limits["argument"]:
        # Several may also come by an option, so the configuration sees to it that there is one.
        return click.Argument(
            [field.name], required=required and not many, nargs=-1 if many else 1, type=kind
        )
    # Numbers follow each other (--ratios 0.7 0.15 0.15); strings, and as many numbers as one likes, repeat the option
    # (--table crops --table windows).
    repeats = many and (type_ is str or field.default == ())
    more: dict[str, Any] = {} if required else {"default": field.default}
    if many and not repeats:
        more["nargs"] = len(more["default"])
    return click.Option(
        [f"--{flag_name(field.name)}", field.name],
        type=kind,
        is_flag=type_ is bool,
        required=required,
        multiple=repeats,
        help=limits["help"][0].upper() + limits["help"][1:] + ".",
        show_default=not required and field.default is not None and type_ is not bool,
        metavar=limits["metavar"],
        **more,
    )


def _click_type(type_: Any, limits: Any) -> Any:
    """Limits are checked by the configuration itself, so that recipes meet the same words."""
    if limits["choices"]:
        return click.Choice(limits["choices"])
    return {Path: _PATH, bool: click.BOOL}.get(type_, type_)


for _stage in STAGES.values():
    main.add_command(_stage_command(_stage))


@main.group("features", short_help="Look at features")
def features_group() -> None:
    """Look at the features of landmark windows."""


_INSPECT = Stage("inspect", features_inspect.FeaturesInspectConfig, features_inspect)
features_group.add_command(_stage_command(_INSPECT))


main.add_command(_stage_command(Stage("predict", predict.PredictConfig, predict)))


@main.group("explain", short_help="Look into a pointing model")
def explain_group() -> None:
    """Look into a pointing model: what each of its layers answers to, and which of them it needs."""


for _stage in (
    Stage("heatmaps", explain_heatmaps.HeatmapsConfig, explain_heatmaps),
    Stage("ablate", explain_ablate.AblateConfig, explain_ablate),
):
    explain_group.add_command(_stage_command(_stage))

main.add_command(_stage_command(Stage("live", live.LiveConfig, live)))


@main.command("run", short_help="Run a recipe")
@click.argument("recipe")
@click.option("--from", "first", metavar="NN", help="Number of the step to begin with.")
@click.option("--workers", type=int, help="Worker processes for every step that has them.")
@click.option("--accept-license", is_flag=True, help="Accept the licences of the datasets to download.")
@click.option("--synthetic", is_flag=True, help="Draw the datasets instead of downloading them.")
@click.option("--workspace", type=_PATH, default=Path("data"), show_default=True,
              help="Folder that all stages read and write.")  # fmt: skip
@click.option("--dry-run", is_flag=True, help="Say what each step would read and write, and do nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print each summary as a line of JSON.")
def run_command(
    recipe: str,
    first: str | None,
    workers: int | None,
    accept_license: bool,
    synthetic: bool,
    workspace: Path,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Run a recipe: its stages in order. RECIPE is a TOML file, or the name of one in pipelines/."""
    given = {"workspace": workspace, "workers": workers, "accept_license": accept_license or None}
    loaded = load_recipe(recipe, given, synthetic)
    sys.exit(run_recipe(loaded, first, dry_run, _step_report(as_json)))


def _step_report(as_json: bool) -> Callable[[Step, Summary], None]:
    def report(step: Step, summary: Summary) -> None:
        if as_json:
            click.echo(json.dumps({"step": step.key, **summary.as_dict()}, ensure_ascii=False))
            return
        click.echo(click.style(step.key, bold=True))
        click.echo("\n".join(f"  {line}" for line in summary.lines()))

    return report
