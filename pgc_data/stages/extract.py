"""Stage 03: finds hands, and bodies if asked, in every frame of a prepared source; writes them with hands' crops."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from pgc_data.config import Config, option
from pgc_data.datasets import dataset
from pgc_data.engines import ENGINES, cores, map_shards
from pgc_data.errors import ConfigError, DataError
from pgc_data.hands.backends import (
    BACKENDS,
    HAND_CLASSES,
    LANDMARKS,
    OPTIONS,
    PROVIDERS,
    TABLES,
    make_backend,
)  # fmt: skip
from pgc_data.hands.extractor import shard_stats
from pgc_data.hands.model_file import ModelFile
from pgc_data.progress import Progress
from pgc_data.stages import networks
from pgc_data.stages.losses import first_failure, total, write_ledger
from pgc_data.stages.rehearsal import rehearse
from pgc_data.stages.shards import BackendMaker, Packs, Setup, extract_pack, initialize
from pgc_data.stages.summary import Plan
from pgc_data.storage.files import log_folder, read_json, write_json
from pgc_data.storage.source import Source, read_source
from pgc_data.storage.workspace import Workspace, check_name, stage_lock

# To be raised when the code writes other tables from the same input.
EXTRACTION_VERSION = 2
CONFIDENCE = 0.5
# Holistic looks for one person.
_HOLISTIC_HANDS = 2


@dataclass(frozen=True, kw_only=True)
class ExtractConfig(Config):
    """What to extract, and how."""

    dataset: str = option(
        ..., "prepared source: a dataset, or the --name it was prepared under", argument=True
    )
    workers: int | None = option(
        None, "worker processes; one for each core by default", minimum=1, recorded=False
    )
    engine: str = option(
        "local", "where workers run: processes of this machine, or Ray", choices=ENGINES, recorded=False
    )
    ray_address: str | None = option(
        None, "Ray cluster to use, such as auto; a Ray of this machine by default", recorded=False
    )
    # Recorded on its own, beside its model.
    backend: str = option(
        "mediapipe", "what finds hands: MediaPipe; its two networks without its graph (direct); MediaPipe with one "
        "person's pose and face (holistic); the dataset's own boxes (annotation); a detector (onnx)",
        choices=BACKENDS, recorded=False,
    )  # fmt: skip
    hand_model: Path | None = option(
        None, "hand landmarker bundle (.task); found or fetched by default", recorded=False, local=True
    )
    holistic_model: Path | None = option(
        None, "holistic landmarker bundle (.task); found or fetched by default", recorded=False, local=True
    )
    detector: Path | None = option(
        None, "onnx: detector (.onnx): takes BGR images, 0 to 255, gives rows of class, x1, y1, x2, y2, score",
        recorded=False, local=True,
    )  # fmt: skip
    detector_classes: tuple[int, ...] = option(
        (),
        f"onnx: numbers of the detector's classes that are hands; {HAND_CLASSES[0]} by default",
        recorded=False,
    )
    # Not recorded: another provider may change the last bits of a box, and that is all.
    provider: str | None = option(
        None, "onnx: what the detector runs on; cpu by default", choices=PROVIDERS, recorded=False
    )
    landmarks: str | None = option(
        None, "annotation, onnx: where landmarks come from; the annotation's own, and for onnx MediaPipe, by default",
        choices=LANDMARKS["annotation"], recorded=False,
    )  # fmt: skip
    hands: int | None = option(
        None, "hands to look for in a frame; what the dataset shows by default", minimum=1
    )
    confidence: float = option(CONFIDENCE, "least confidence of a hand", minimum=0.0, maximum=1.0)
    margin: float = option(
        0.2, "added around a hand on every side, as a share of its longer side", minimum=0.0
    )
    shard_frames: int = option(1000, "frames after which a shard is full; a clip is never cut", minimum=1)
    strict: bool = option(False, "fail on the first frame that cannot be decoded", recorded=False)
    restart: bool = option(False, "remove what an earlier run wrote, and begin again", recorded=False)

    def __post_init__(self) -> None:
        """Checks every field, and that none is given that the backend does not use.

        Raises:
            ConfigError: naming the option, its value and what is accepted.
        """
        super().__post_init__()
        for name in sorted(set().union(*OPTIONS.values()) - OPTIONS[self.backend]):
            if (value := getattr(self, name)) not in (None, ()):
                raise ConfigError(
                    f"{name.replace('_', '-')}={value} has no meaning for the backend {self.backend}: leave it out"
                )
        if self.backend in LANDMARKS:
            self._check_boxes()
        if self.ray_address is not None and self.engine != "ray":
            raise ConfigError(
                f"ray-address={self.ray_address} has no meaning without engine=ray: pass --engine ray"
            )

    def _check_boxes(self) -> None:
        """Checks what only backends that go by boxes are asked for."""
        if self.backend == "onnx" and self.detector is None:
            raise ConfigError("the backend onnx needs a detector: pass --detector")
        source, choices = self.landmarks_from, LANDMARKS[self.backend]
        if source not in choices:
            raise ConfigError(
                f"landmarks={source} is nothing that the backend {self.backend} has: take {' or '.join(choices)}"
            )
        if source != "mediapipe" and self.hand_model is not None:
            raise ConfigError(
                f"hand-model={self.hand_model} has no meaning with landmarks={source}: leave it out"
            )
        if self.backend == "annotation" and source != "mediapipe" and self.confidence != CONFIDENCE:
            raise ConfigError(
                f"confidence={self.confidence} has no meaning for the backend annotation with landmarks={source}, for "
                "all boxes are taken: leave it out"
            )

    @property
    def landmarks_from(self) -> str | None:
        """Where a backend that goes by boxes has landmarks from; None for the others."""
        return self.landmarks or LANDMARKS[self.backend][0] if self.backend in LANDMARKS else None


@dataclass(frozen=True)
class ExtractSummary:
    """What `extract` did.

    Attributes:
        source: name of the source.
        folder: where the tables are.
        shards: shards in all.
        worked: shards worked on in this run; the others were there already.
        counts: frames, decoded, missing, undecodable, with_hand, without_hand, hands, crops; bodies for holistic.
        backend: what found them.
        models: what networks ran, and where each came from; none for annotation by itself.
        crashed: media that could not be read without losing the process that reads them.
    """

    source: str
    folder: Path
    shards: int
    worked: int
    counts: Mapping[str, int]
    backend: str
    models: Mapping[str, str]
    crashed: int = 0
    exit_code: int = 0

    def as_dict(self) -> dict[str, Any]:
        """The result as JSON values."""
        return {
            "source": self.source, "folder": str(self.folder), "shards": self.shards, "worked": self.worked,
            "counts": dict(self.counts), "backend": self.backend, "models": dict(self.models),
            "crashed_media": self.crashed,
        }  # fmt: skip

    def lines(self) -> list[str]:
        """The result as lines of text."""
        c = self.counts
        share = c["with_hand"] / c["decoded"] if c["decoded"] else 0.0
        return [
            f"{self.source}: {c['hands']:,} hands in {c['with_hand']:,} of {c['decoded']:,} frames ({share:.1%}), "
            f"{c['crops']:,} crops",
            *([f"  {c['bodies']:,} frames with a pose, face or hand"] if "bodies" in c else []),
            f"  {c['frames']:,} frames asked for = {c['with_hand']:,} with a hand + {c['without_hand']:,} without "
            f"+ {c['missing']:,} missing + {c['undecodable']:,} undecodable",
            *(
                [
                    f"  {self.crashed:,} media killed the processes that read them: see crashed in ledger.parquet"
                ]
                if self.crashed
                else []
            ),
            f"  {self.worked} of {self.shards} shards worked on, {self.shards - self.worked} were done already",
            *(f"  {kind} model: {where}" for kind, where in self.models.items()),
            f"  in {self.folder}: {', '.join(f'{name}-*.parquet' for name in TABLES[self.backend])}, ledger.parquet",
        ]


def plan(config: ExtractConfig) -> Plan:
    """What `run` would read and write, and how long that would take, measured on a few frames."""
    workspace = Workspace(config.workspace)
    source = read_source(workspace, check_name(config.dataset))
    samples = workspace.prepared(config.dataset) / "samples.parquet"
    packs = Packs(samples, config.shard_frames, annotated=config.backend == "annotation")
    todo = _todo(packs, workspace.extracted(config.dataset), config.restart)
    frames = sum(packs.frames[number] for number in todo)
    return Plan(
        (samples, source.raw_folder(workspace)),
        (workspace.extracted(config.dataset),),
        f"{frames:,} of {sum(packs.frames):,} frames of {packs.media:,} media are still to do"
        + (f"; {_estimate(config, workspace, source, packs, todo)}" if frames else ""),
    )


def _estimate(
    config: ExtractConfig, workspace: Workspace, source: Source, packs: Packs, todo: Sequence[int]
) -> str:
    """How long it will take, in words that say what was measured, or why nothing could be."""
    try:
        models = networks.models_at_hand(config)
        if models is None:
            return "how long is not known yet, for the model is still to be fetched"
        setup = _setup(config, workspace, source, models, packs.fingerprint)
        measured = rehearse(setup, packs, todo, config.workers or cores())
    except DataError as error:
        return f"how long could not be measured: {error}"
    if measured is None:
        return "how long could not be measured: no frame that was tried can be read"
    # Of a cluster's cores nothing is known here.
    workers = config.workers or cores()
    share = len(todo) / len(packs)
    seconds = measured.seconds(round(packs.media * share), sum(packs.frames[n] for n in todo), workers)
    return f"roughly {seconds / 60:,.1f} minutes with {workers} workers ({measured})"


def run(config: ExtractConfig, make: BackendMaker | None = None) -> ExtractSummary:
    """Extracts what is not extracted yet and writes `extracted/NAME/`.

    Args:
        config: what to extract.
        make: makes the backend in each worker, of its name, model, hands and confidence; importable by name. By
            default the one that `config` names.

    Raises:
        ConfigError: a bad name, no such model, or no Ray where it is asked for.
        DataError: the source is not prepared, no model can be had, an earlier run used other settings, a table
            cannot be written, workers die and the data are not the cause, or with `strict` a frame could not be
            decoded.
    """
    workspace = Workspace(config.workspace)
    source = read_source(workspace, check_name(config.dataset))
    samples = workspace.prepared(config.dataset) / "samples.parquet"
    folder = workspace.extracted(config.dataset)
    with stage_lock(folder):
        models = networks.find_models(config)
        packs = Packs(samples, config.shard_frames, annotated=config.backend == "annotation")
        if not sum(packs.frames):
            raise DataError(
                f"no frame of {config.dataset} is known: get its images or clips, then run `pgc-data prepare` again "
                "without --annotations-only"
            )
        setup = _setup(config, workspace, source, models, packs.fingerprint, make)
        _check_settings(config, folder, setup.facts)
        todo = _todo(packs, folder)
        _work(config, folder, packs, todo, setup)
        counts, losses = total(folder, packs.frames)
        _check_readable(config, folder, losses, counts)
        crashed = write_ledger(folder, config.dataset, losses, setup.facts)
        write_json(folder / "summary.json", {"shards": len(packs), "counts": counts})
    return ExtractSummary(
        config.dataset, folder, len(packs), len(todo), counts, config.backend,
        {kind: f"{model.path} ({model.origin})" for kind, model in models.items()}, crashed,
    )  # fmt: skip


def _todo(packs: Packs, folder: Path, restart: bool = False) -> list[int]:
    """The shards that are not done."""
    return [number for number in range(len(packs)) if restart or shard_stats(folder, number) is None]


def _facts(
    config: ExtractConfig, source: Source, models: Mapping[str, ModelFile], media_sha256: str
) -> dict[str, Any]:
    """What decides the content of the tables: also their metadata."""
    recorded = config.recorded()
    if config.backend == "annotation":
        recorded["hands"] = None
    elif config.backend == "holistic":
        recorded["hands"] = _HOLISTIC_HANDS
    else:
        recorded["hands"] = config.hands or dataset(source.dataset).hands
    return {
        "source": source.name, "dataset": source.dataset, **source.metadata(), "config": recorded,
        "backend": config.backend, **{f"{kind}_model_sha256": model.sha256 for kind, model in models.items()},
        "media_sha256": media_sha256, "extraction_version": EXTRACTION_VERSION,
        "libraries": networks.libraries(config.backend, models),
        **networks.box_facts(config),
    }  # fmt: skip


def _check_settings(config: ExtractConfig, folder: Path, facts: dict[str, Any]) -> None:
    """Refuses to mix shards made with different settings; with `restart`, removes the earlier ones."""
    settings = folder / "settings.json"
    earlier = read_json(settings) if settings.is_file() else None
    begun = any(folder.glob("stats-*.json"))
    if begun and earlier != facts and not config.restart:
        raise DataError(
            f"{folder} was made with other settings ({_difference(earlier, facts)}): pass --restart to remove "
            "what it holds, or prepare the source under another --name"
        )
    if config.restart:
        # The summary first: without it nobody takes what is left for a whole extraction.
        for path in [folder / "summary.json", *folder.glob("stats-*.json"), *folder.glob("*.parquet")]:
            path.unlink(missing_ok=True)
    if earlier != facts:
        write_json(settings, facts)


def _difference(earlier: Any, now: dict[str, Any]) -> str:
    if not isinstance(earlier, dict) or not isinstance(earlier.get("config"), dict):
        return "settings.json is missing or not ours"
    before = {**earlier, **earlier["config"]}
    after = {**now, **now["config"]}
    changed = [key for key in after if key != "config" and before.get(key) != after[key]]
    return (
        "; ".join(f"{key}: {before.get(key)!r}, now {after[key]!r}" for key in changed[:3])
        or "another version"
    )


def _setup(
    config: ExtractConfig,
    workspace: Workspace,
    source: Source,
    models: Mapping[str, ModelFile],
    media_sha256: str,
    make: BackendMaker | None = None,
) -> Setup:
    """What each worker is given. Paths are absolute, for a worker may have been started elsewhere."""
    raw, folder = source.raw_folder(workspace), workspace.extracted(config.dataset)
    if not raw.is_dir():
        raise DataError(
            f"the raw folder {raw} is gone: put it back, or run `pgc-data prepare {source.dataset}` again"
        )
    facts = _facts(config, source, models, media_sha256)
    boxes = networks.box_settings(config, models)
    make = make or (make_backend if boxes is None else partial(make_backend, boxes=boxes))
    main = networks.main_model(config, models)
    return Setup(
        raw=raw.absolute(), folder=folder.absolute(), log=log_folder(folder) / "native.log",
        margin=config.margin, facts=facts, tables=TABLES[config.backend], make=make,
        backend=config.backend, model=None if main is None else main.path.absolute(),
        hands=facts["config"]["hands"] or 0,
        confidence=config.confidence,
    )  # fmt: skip


def _work(config: ExtractConfig, folder: Path, packs: Packs, todo: list[int], setup: Setup) -> None:
    if not todo:
        return
    setup.log.parent.mkdir(parents=True, exist_ok=True)
    shards = (packs.pack(number) for number in todo)
    done = map_shards(
        extract_pack, shards, config.workers, initialize, (setup,), config.engine, config.ray_address
    )
    frames, lost = sum(packs.frames[number] for number in todo), 0
    with Progress("extract", frames, "frames") as progress, closing(done):
        for number, counts in done:
            dropped = counts["frames"] - counts["decoded"]
            lost += dropped
            progress.add(counts["frames"], f"{lost:,} dropped", hands=counts["hands"])
            if config.strict and dropped:
                raise DataError(f"{first_failure(folder, number)} (--strict)")


def _check_readable(
    config: ExtractConfig, folder: Path, losses: Sequence[int], counts: Mapping[str, int]
) -> None:
    """Fails where nothing could be read at all, or with `strict` anything could not."""
    if losses and (config.strict or not counts["decoded"]):
        why = (
            "--strict" if config.strict else f"and so are all {counts['frames']:,}: mend, then pass --restart"
        )
        raise DataError(f"{first_failure(folder, losses[0])} ({why})")
