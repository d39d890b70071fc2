"""Stage 04: makes crops and windows of extracted sources, split by group, as Parquet that loads anywhere."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pgc_data.config import Config, option
from pgc_data.datasets.vocabularies import Vocabulary, load_vocabulary
from pgc_data.errors import ConfigError, DataError
from pgc_data.features import SCHEMA_NAME, BodySet, ImageSet, feature_set, feature_sets
from pgc_data.splits import three_way
from pgc_data.stages.summary import Plan, aligned
from pgc_data.storage.files import read_json
from pgc_data.storage.workspace import Workspace, check_name, stage_lock
from pgc_data.tables.alike import join_alike_groups
from pgc_data.tables.build import Job, build_tables, fingerprint, written_fingerprint
from pgc_data.tables.builder import Builder
from pgc_data.tables.card import density_lines, joined_lines, origin_lines, unverified_lines, write_card
from pgc_data.tables.clips import require_bodies
from pgc_data.tables.crops import CropsBuilder
from pgc_data.tables.hand_images import HandImagesBuilder
from pgc_data.tables.inputs import ExtractedSource, open_sources
from pgc_data.tables.lock import LOCK_FILE, check_lock
from pgc_data.tables.manifest import files_are_whole, files_of, read_manifest, write_manifest
from pgc_data.tables.pgc_layout import PgcBuilder
from pgc_data.tables.split_settings import FOLDS, GROUP, LEAVE_ONE_OUT, SPLIT_KINDS, SplitSettings
from pgc_data.tables.windows import WindowsBuilder

TABLES = ("crops", "windows")
PGC = "pgc"
STRATA = ("native_label", "handedness")
_RATIOS, _FOLDS = (0.7, 0.15, 0.15), 5
_LABELS_SHOWN = 4


@dataclass(frozen=True, kw_only=True)
class ToParquetConfig(Config):
    """What to write, and how to split it."""

    datasets: tuple[str, ...] = option(..., "extracted sources to read", argument=True)
    vocabulary: str = option(..., "classes: the name of a vocabulary, or your own TOML file")
    name: str | None = option(None, "name of the dataset; SOURCES-VOCABULARY by default", recorded=False)
    table: tuple[str, ...] = option(
        ("crops",), "table to write; repeat for both", choices=TABLES, recorded=False
    )
    layout: str = option(
        "pgc-data", "columns of the crops: ours, or the one file that PGC's trainer reads",
        choices=("pgc-data", PGC), recorded=False,
    )  # fmt: skip
    single_file: bool = option(False, "write each table as one file, dataset.parquet, whatever its size")
    split: str = option(
        GROUP, "train, val and test by group, or the datasets' own; or folds of groups, or each group a fold",
        choices=SPLIT_KINDS,
    )  # fmt: skip
    ratios: tuple[float, ...] = option(_RATIOS, "shares of train, val and test")
    folds: int = option(_FOLDS, "number of folds, with --split folds", minimum=2, maximum=100)
    stratify: tuple[str, ...] = option(
        (), "column besides the class to share evenly among the splits; repeat for several", choices=STRATA
    )
    near_duplicates: str = option(
        "join", "join groups that show the same picture, so that it lies in one split, or keep them apart",
        choices=("join", "keep"),
    )  # fmt: skip
    seed: int = option(0, "seed of the search for the best split", minimum=0)
    min_size: int = option(8, "least width and height of a crop, pixels", minimum=1)
    features: str = option(SCHEMA_NAME, "what a window holds: " + ", ".join(feature_sets()))
    frames: int | None = option(
        None, "grid frames of a window; what the features say by default", minimum=1, maximum=10_000
    )
    stride: int | None = option(
        None, "grid frames from one window to the next; what the features say by default",
        minimum=1, maximum=100_000,
    )  # fmt: skip
    eval_every: int | None = option(
        None, "of val, test and static classes keep every so many-th window; what the features say by default",
        minimum=1, maximum=1000,
    )  # fmt: skip
    cap: int | None = option(
        None,
        "most rows of a class in train, taken evenly of its datasets and groups",
        minimum=1,
        maximum=10**9,
    )
    lock: Path | None = option(
        None, "splits.parquet of another dataset whose assignments to keep", recorded=False
    )
    overwrite: bool = option(False, "replace a table made with other settings", recorded=False)
    new_split: bool = option(False, "split again, and write every table of the dataset anew", recorded=False)

    def __post_init__(self) -> None:
        """Checks every field; see `Config`."""
        super().__post_init__()
        three_way(self.ratios)
        self._check_splits()
        self._check_windows()
        if not self.table:
            raise ConfigError("no table to write: give crops, windows or both")
        if not self.datasets:
            raise ConfigError("no source given: name at least one extracted source, such as ipn")
        for source in (*self.datasets, self.dataset_name):
            check_name(source)
        if len(set(self.datasets)) < len(self.datasets):
            raise ConfigError(f"a source stands twice in {' '.join(self.datasets)}: name each once")

    def _check_splits(self) -> None:
        folded = self.split in (FOLDS, LEAVE_ONE_OUT)
        for name, wrong in (
            ("folds", self.split != FOLDS and self.folds != _FOLDS),
            ("ratios", folded and self.ratios != _RATIOS),
            ("cap", folded and self.cap is not None),
        ):
            if wrong:
                raise ConfigError(f"--{name} does not go with --split {self.split}: leave it out")
        own = Workspace(self.workspace).parquet(self.dataset_name) / LOCK_FILE
        if self.lock is not None and self.lock.resolve() == own.resolve():
            raise ConfigError(f"--lock {self.lock} is the dataset's own, which is kept anyway: leave it out")
        if self.layout == PGC and "windows" in self.table:
            raise ConfigError("--layout pgc is for crops: leave --table windows out")

    def _check_windows(self) -> None:
        images = isinstance(feature_set(self.features), ImageSet)
        given = [name for name in ("frames", "stride", "eval_every") if getattr(self, name) is not None]
        for name in [*given, *(["features"] if self.features != SCHEMA_NAME else [])]:
            flag = f"--{name.replace('_', '-')}"
            if "windows" not in self.table:
                raise ConfigError(f"{flag} is for windows: add --table windows, or leave it out")
            if images and name != "features" and getattr(self, name) != 1:
                raise ConfigError(f"{self.features} are of single images: leave {flag} out")

    @property
    def split_settings(self) -> SplitSettings:
        """How groups are to be split."""
        return SplitSettings(
            self.split, self.ratios, self.folds, self.seed, self.lock, self.cap, self.stratify,
            self.near_duplicates == "join",
        )  # fmt: skip

    @property
    def one_file(self) -> bool:
        """Whether a table is one file."""
        return self.single_file or self.layout == PGC

    @property
    def kinds(self) -> tuple[str, ...]:
        """The folders to write."""
        return (PGC,) if self.layout == PGC else tuple(kind for kind in TABLES if kind in self.table)

    @property
    def dataset_name(self) -> str:
        """Name of the dataset to write."""
        vocabulary, *chosen = self.vocabulary.split("+")
        return self.name or "-".join([*self.datasets, Path(vocabulary).stem, *chosen])


@dataclass(frozen=True)
class ToParquetSummary:
    """What `to-parquet` wrote.

    Attributes:
        name: of the dataset.
        folder: where it is.
        tables: table -> what the manifest says of it.
        asked: tables that this run was to write.
        fresh: those of them that it wrote; the others were up to date.
    """

    name: str
    folder: Path
    tables: Mapping[str, Any]
    asked: tuple[str, ...]
    fresh: tuple[str, ...]
    exit_code: int = 0

    def as_dict(self) -> dict[str, Any]:
        """The result as JSON values."""
        return {
            "name": self.name, "folder": str(self.folder), "tables": dict(self.tables), "fresh": list(self.fresh),
        }  # fmt: skip

    def lines(self) -> list[str]:
        """The result as lines of text."""
        lines = []
        for kind in self.asked:
            table = self.tables[kind]
            state = "" if kind in self.fresh else " (up to date, nothing redone)"
            lines.append(
                f"{self.name}, {kind}: {sum(table['rows'].values()):,} rows of {table['vocabulary']}{state}"
            )
            lines += aligned(_class_table(table))
            lines.append(f"  split {table['split']}: {_proof(table)}")
            lines += [f"  not met: {line}" for line in table["unmet"]]
            lines += [f"  pictures: {line}" for line in joined_lines(table)]
            lines += [f"  density: {line}" for line in density_lines(table)]
            lines += [f"  origin: {line}" for line in origin_lines(table)]
            lines += [f"  unverified: {line}" for line in unverified_lines(table)]
            total = sum(table["rows"].values())
            dropped = sum(d["count"] for d in table["dropped"])
            lines.append(f"  {total + dropped:,} {table['unit']} = {total:,} rows + {dropped:,} dropped")
            lines += [
                f"  dropped  {line}" for line in _drop_lines(table["dropped"], len(table["sources"]) > 1)
            ]
        return [
            *lines,
            f"  in {self.folder}: {', '.join(self.tables)}, README.md, splits.parquet, manifest.json",
        ]


def _proof(table: Mapping[str, Any]) -> str:
    split, name = table["worst_where"]
    return f"worst class share {table['worst']:.2f} points off, {name} in {split}"


def _drop_lines(dropped: Sequence[Mapping[str, Any]], several: bool) -> list[str]:
    """One line a reason, and source where there are several, with the labels that it befell most."""
    found: dict[str, list[Mapping[str, Any]]] = {}
    for row in dropped:
        found.setdefault(row["reason"] + (f" of {row['source']}" if several else ""), []).append(row)
    lines = []
    for what, rows in sorted(found.items(), key=lambda item: -sum(row["count"] for row in item[1])):
        labels = [f"{row['label']} {row['count']:,}" for row in rows if row["label"]]
        more = f", {len(labels) - _LABELS_SHOWN} more labels" if len(labels) > _LABELS_SHOWN else ""
        shown = f" ({', '.join(labels[:_LABELS_SHOWN])}{more})" if labels else ""
        lines.append(f"{what}: {sum(row['count'] for row in rows):,}{shown}")
    return lines


def _class_table(table: Mapping[str, Any]) -> list[tuple[Any, ...]]:
    splits = table["splits"]
    rows: list[tuple[Any, ...]] = [("class", *splits)]
    rows += [(name, *(table["class_rows"][s].get(name, 0) for s in splits)) for name in table["classes"]]
    return [*rows, ("rows", *table["rows"].values()), ("groups", *table["groups"].values())]


def plan(config: ToParquetConfig) -> Plan:
    """What `run` would read and write."""
    workspace = Workspace(config.workspace)
    vocabulary = load_vocabulary(config.vocabulary)
    sources = _sources(config, workspace, vocabulary)
    folder = workspace.parquet(config.dataset_name)
    manifest = _own_manifest(folder)
    todo = [b for b in _builders(config, vocabulary) if not _up_to_date(config, folder, b, manifest, sources)]
    hands = sum(read_json(s.folder / "summary.json")["counts"]["hands"] for s in sources)
    work = f"{hands:,} hands of {sum(s.shards for s in sources)} shards, about {hands / 10_000 + 2:.0f} s"
    return Plan(
        tuple(s.folder for s in sources),
        tuple(folder / builder.name for builder in todo),
        work if todo else "none: everything is up to date",
    )


def run(config: ToParquetConfig) -> ToParquetSummary:
    """Writes `parquet/NAME/`: the tables asked for, the split lock, the card, and last the manifest.

    A table that is there already and was made from the same input with the same settings is left alone.

    Raises:
        ConfigError: an unknown vocabulary, or one that does not speak of a label; bad ratios.
        DataError: a source is not extracted, the table was made with other settings, the lock contradicts the
            groups, a row went missing, or a file cannot be written.
    """
    workspace = Workspace(config.workspace)
    vocabulary = load_vocabulary(config.vocabulary)
    sources = _sources(config, workspace, vocabulary)
    folder = workspace.parquet(config.dataset_name)
    fresh = []
    with stage_lock(folder):
        manifest = _own_manifest(folder)
        tables = manifest["tables"]
        builders = _builders(config, vocabulary)
        todo = [b for b in builders if not _up_to_date(config, folder, b, manifest, sources)]
        if todo:
            locks = _locks(config, folder, manifest, todo)
            # A new split leaves no table as it was.
            tables = {} if config.new_split else tables
            files = {kind: files_of(manifest, kind) for kind in tables}
            joined = None
            if config.split_settings.join_alike:
                sources, joined = join_alike_groups(sources, config.split_settings, locks)
            job = Job(folder, sources, joined, config.split_settings, locks, config.one_file)
            for kind, table, written in build_tables(job, todo):
                tables[kind], files[kind] = table, written
                tables = {kind: tables[kind] for kind in (*TABLES, PGC) if kind in tables}
                write_card(folder, config.dataset_name, tables)
                write_manifest(folder, tables, [file for kind in tables for file in files[kind]])
                fresh.append(kind)
    return ToParquetSummary(config.dataset_name, folder, tables, config.kinds, tuple(fresh))


def _own_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a dataset that is to be written, unless another command wrote it."""
    manifest = read_manifest(folder)
    by = sorted({str(table["derived_by"]) for table in manifest["tables"].values() if "derived_by" in table})
    if by:
        raise DataError(
            f"{folder} was written by `pgc-data {by[0]}`: write to another --name, or remove it first"
        )
    return manifest


def _sources(config: ToParquetConfig, workspace: Workspace, vocabulary: Vocabulary) -> list[ExtractedSource]:
    sources = open_sources(workspace, config.datasets, vocabulary)
    if isinstance(feature_set(config.features), BodySet):
        for source in sources:
            require_bodies(source)
    return sources


def _builders(config: ToParquetConfig, vocabulary: Vocabulary) -> list[Builder]:
    builders: dict[str, Builder] = {
        "crops": CropsBuilder(vocabulary, config.min_size),
        "windows": _windows_builder(config, vocabulary),
        PGC: PgcBuilder(vocabulary, config.min_size),
    }
    return [builders[kind] for kind in config.kinds]


def _windows_builder(config: ToParquetConfig, vocabulary: Vocabulary) -> Builder:
    features = feature_set(config.features)
    if isinstance(features, ImageSet):
        return HandImagesBuilder(vocabulary, features)
    return WindowsBuilder(
        vocabulary,
        features,
        config.frames or features.window_frames,
        config.stride or features.train_stride,
        config.eval_every or features.eval_every,
    )


def _up_to_date(
    config: ToParquetConfig,
    folder: Path,
    builder: Builder,
    manifest: Mapping[str, Any],
    sources: Sequence[ExtractedSource],
) -> bool:
    kind, tables = builder.name, manifest["tables"]
    if config.new_split or kind not in tables or not files_are_whole(folder, manifest, kind):
        return False
    written = written_fingerprint(folder / kind)
    if written != tables[kind]["fingerprint"]:
        # Left by a run that did not come to its end.
        return False
    if written == fingerprint(builder, config.split_settings, sources, config.one_file):
        return True
    if not config.overwrite:
        raise DataError(
            f"{folder / builder.name} was made from other input or with other settings: pass --overwrite to replace "
            "it, or another --name"
        )
    return False


def _locks(
    config: ToParquetConfig, folder: Path, manifest: Mapping[str, Any], todo: Sequence[Builder]
) -> list[Path]:
    """The locks to keep to: the dataset's own, unless it is to be split anew, then the one that was named.

    Raises:
        ConfigError: a table that is not to be written would be left with another split.
        DataError: the dataset's own lock was made in another way than asked for.
    """
    own = folder / LOCK_FILE
    kept = own.is_file() and not config.new_split
    if kept:
        check_lock(own, config.split_settings)
    else:
        _refuse_two_splits(config, folder, manifest, {builder.name for builder in todo})
    return [*([own] if kept else []), *([config.lock] if config.lock is not None else [])]


def _refuse_two_splits(
    config: ToParquetConfig, folder: Path, manifest: Mapping[str, Any], todo: Collection[str]
) -> None:
    """Refuses to split anew where a table that is there would keep the old split."""
    for kind in manifest["tables"]:
        if kind in todo or not any((folder / file["path"]).is_file() for file in files_of(manifest, kind)):
            continue
        why = "--new-split" if config.new_split else f"there is no {folder / LOCK_FILE}, and a new one"
        add = f"add --table {kind}" + ("" if config.new_split else " and --new-split")
        mend = add if PGC not in (kind, *config.kinds) else f"remove {folder / kind}"
        raise ConfigError(f"{why} would leave {kind} with the old split: {mend}, or write to another --name")
