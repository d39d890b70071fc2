"""Stage 00: gets a dataset into `raw/NAME/`, from the first source that gives it, with a manifest of what came."""

from __future__ import annotations

import sys
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pgc_data.config import Config, option
from pgc_data.datasets import dataset
from pgc_data.downloads.estimate import Estimate, estimate, free_bytes, readable
from pgc_data.downloads.failures import SourceError
from pgc_data.downloads.fetcher import Job, fetch_folder, fetch_source
from pgc_data.downloads.kaggle import check_slug
from pgc_data.downloads.manifest import NAME, Manifest, check
from pgc_data.downloads.reports import DownloadPlan, DownloadSummary, VerifySummary
from pgc_data.downloads.sources import KINDS, Offer, Source, find_offer, offers_of, with_classes
from pgc_data.errors import ConfigError, DataError
from pgc_data.progress import Progress
from pgc_data.storage.source import SYNTHETIC_MARKER
from pgc_data.storage.workspace import Workspace, check_name, stage_lock

_MB = 1_000_000
_NAMED_AT_MOST = 20


@dataclass(frozen=True, kw_only=True)
class DownloadConfig(Config):
    """What to get, and from where."""

    dataset: str = option(..., "dataset to get", argument=True)
    name: str | None = option(None, "name of the source in the workspace; the dataset's by default")
    source: str | None = option(
        None, "only this source; by default kaggle, http and gdrive are tried in this order", choices=KINDS
    )
    from_dir: Path | None = option(
        None, "folder that holds the dataset already: linked, not copied", recorded=False, local=True
    )
    subset: str | None = option(None, "a part of the dataset, or a smaller form of it (--dry-run lists them)")
    classes: tuple[str, ...] = option(
        (), "only the archive of this class, where each has its own", metavar="CLASS"
    )
    accept_license: bool = option(False, "accept the dataset's licence, where it must be accepted")
    verify: bool = option(
        False, "download nothing, only check what is there against the manifest", recorded=False
    )
    kaggle_slug: str | None = option(None, "Kaggle dataset in place of the default one", metavar="OWNER/NAME")
    base_url: str | None = option(None, "mirror in place of the default HTTP server", metavar="URL")
    keep_archives: bool = option(False, "keep archives once they are unpacked")
    retries: int = option(
        8, "retries of a broken transfer without a new byte", minimum=0, maximum=1000, recorded=False
    )

    def __post_init__(self) -> None:
        """Checks the fields, and that they go together.

        Raises:
            ConfigError: naming the option and what to do.
        """
        super().__post_init__()
        if self.kaggle_slug is not None:
            check_slug(self.kaggle_slug)
        if self.base_url is not None and not self.base_url.startswith(("http://", "https://")):
            raise ConfigError(f"base-url={self.base_url!r} must begin with http:// or https://")
        if self.base_url is not None and ("?" in self.base_url or "#" in self.base_url):
            raise ConfigError(f"base-url={self.base_url!r} must be a folder: file names are put behind it")
        if self.source == "dir" and self.from_dir is None:
            raise ConfigError("--source dir needs --from-dir FOLDER")
        if self.from_dir is not None and self.source not in (None, "dir"):
            raise ConfigError(f"--from-dir does not go with --source {self.source}: leave one of them out")
        if self.from_dir is not None:
            for name in ("classes", "kaggle_slug", "base_url", "keep_archives"):
                if getattr(self, name):
                    raise ConfigError(
                        f"--{name.replace('_', '-')} has no effect with --from-dir: leave it out"
                    )
        for name, kind in (("kaggle_slug", "kaggle"), ("base_url", "http")):
            if getattr(self, name) and self.source not in (None, kind):
                raise ConfigError(
                    f"--{name.replace('_', '-')} has no effect with --source {self.source}: leave it out"
                )

    @property
    def source_name(self) -> str:
        """Name of the source in the workspace."""
        return check_name(self.name or self.dataset)

    @property
    def folder(self) -> Path:
        """The raw folder."""
        return Workspace(self.workspace).local_raw(self.source_name)


def plan(config: DownloadConfig) -> DownloadPlan:
    """What `run` would do.

    Raises:
        ConfigError: unknown dataset, subset or class; a source that does not have it; a workspace in a store.
    """
    facts = dataset(config.dataset)
    licence = facts.licence
    shown = {
        "name": licence.name,
        "url": licence.url,
        "summary": licence.summary,
        "must_accept": licence.must_accept,
    }
    subsets = {offer.subset: _described(offer) for offer in offers_of(config.dataset)}
    if config.from_dir is not None:
        here = Estimate(0, 0, config.folder, free_bytes(config.folder))
        title = f"{facts.title} from {config.from_dir}"
        return DownloadPlan(
            title, subsets, {**shown, "must_accept": False}, ("dir",), {}, (here,), config.folder
        )
    offer, sources = _offer_and_sources(config)
    manifest = Manifest(config.folder)
    return DownloadPlan(
        f"{facts.title}, {offer.subset}: {offer.what}", subsets, shown,
        tuple(f"{s.kind} {s.slug or s.base}".strip() for s in sources),
        {file.name: file.size for file in next((s.files for s in sources if s.files), ())},
        tuple(estimate(manifest, offer, source, config.keep_archives) for source in sources), config.folder,
    )  # fmt: skip


def run(config: DownloadConfig) -> DownloadSummary | VerifySummary:
    """Gets the dataset, or goes on with it; with `verify`, only checks what is there.

    Raises:
        ConfigError: unknown dataset, subset or class; the licence must be accepted.
        DataError: no source gave it; the disk is too small; the folder holds something else or cannot be written.
    """
    planned = plan(config)
    folder = config.folder
    if (folder / SYNTHETIC_MARKER).exists():
        raise DataError(
            f"{folder} holds drawn data ({SYNTHETIC_MARKER}), which may not be mixed: choose another --name"
        )
    if config.verify:
        return _verify(config)
    if planned.licence["must_accept"] and not config.accept_license:
        raise ConfigError(
            f"{config.dataset} may only be had under its licence, {planned.licence['name']}: read it at "
            f"{planned.licence['url']} and pass --accept-license"
        )
    _say(planned.announcement())
    total = next((e.transfer for e in planned.estimates if e.transfer), 0)
    with stage_lock(folder), Progress("download", total // _MB, "MB") as progress:
        manifest = Manifest(folder)
        job = Job(manifest, config.retries, config.keep_archives, _Meter(progress).add)
        if config.from_dir is not None:
            return _take_over(config, job, planned)
        return _download(config, job, planned)


def _take_over(config: DownloadConfig, job: Job, planned: DownloadPlan) -> DownloadSummary:
    assert config.from_dir is not None
    inside, outside = config.folder.resolve(), config.from_dir.resolve()
    if inside.is_relative_to(outside) or outside.is_relative_to(inside):
        raise ConfigError(
            f"--from-dir {config.from_dir} and {config.folder} lie in each other: choose another folder"
        )
    release = find_offer(config.dataset, config.subset).release if config.subset else None
    job.manifest.begin(config.dataset, release, _licence_facts(config))
    fetch_folder(job, config.dataset, config.from_dir)
    return DownloadSummary(planned.offer, config.folder, "dir", dict(job.written), 0, job.there)


def _download(config: DownloadConfig, job: Job, planned: DownloadPlan) -> DownloadSummary:
    offer, sources = _offer_and_sources(config)
    manifest, key = job.manifest, " ".join((offer.subset, *sorted(config.classes)))
    manifest.begin(config.dataset, offer.release, _licence_facts(config))
    done = manifest.finished_units(key)
    if done and manifest.begun_from(key) in {source.kind for source in sources}:
        there = sum(manifest.units[unit]["bytes"] for unit in done)
        return DownloadSummary(planned.offer, config.folder, None, {}, 0, there)
    # What was begun from one source goes on from there.
    sources.sort(key=lambda source: source.kind != manifest.begun_from(key))
    failed: list[str] = []
    for source, following in zip(sources, [*sources[1:], None], strict=True):
        try:
            _try(job, offer, source, key)
        except SourceError as error:
            failed.append(f"{source.kind}: {error}")
            if following is not None:
                _say([f"{failed[-1]}; trying {following.kind}"])
            continue
        return DownloadSummary(
            planned.offer, config.folder, source.kind, dict(job.written), job.transferred, job.there,
            tuple(failed), source.note,
        )  # fmt: skip
    raise DataError(f"{config.dataset} {offer.subset} could not be had: {'; '.join(failed)}")


def _try(job: Job, offer: Offer, source: Source, key: str) -> None:
    """Gets the offer from one source, if the disk can hold it."""
    expected = estimate(job.manifest, offer, source, job.keep_archives)
    if not expected.is_enough and expected.disk is not None:
        raise SourceError(
            f"{readable(expected.disk)} of disk are needed, but only {readable(expected.free)} are free in "
            f"{expected.folder}: free some, choose another --workspace, or take a smaller --subset"
        )
    before, begun = job.transferred, job.manifest.begun_from(key)
    job.manifest.begin_offer(key, source.kind)
    job.units.clear()
    job.there, job.written = 0, Counter()
    try:
        fetch_source(job, source)
    except SourceError:
        if job.transferred == before and begun != source.kind:
            job.manifest.begin_offer(key, begun)
        raise
    job.manifest.finish_offer(key, list(job.units))


def _verify(config: DownloadConfig) -> VerifySummary:
    folder = config.folder
    if not (folder / NAME).is_file():
        raise DataError(
            f"nothing to verify: {folder / NAME} is missing; run `pgc-data download {config.dataset}` first"
        )
    with stage_lock(folder):
        manifest = Manifest(folder)
        unfinished = tuple(unit for unit, facts in manifest.units.items() if not facts["done"])
        total = sum(facts["bytes"] for facts in manifest.units.values() if facts["done"])
        bad: dict[str, list[str]] = {}
        counts: Counter[str] = Counter()
        whole = size = 0
        with Progress("verify", total // _MB, "MB") as progress:
            meter = _Meter(progress)
            for file in check(manifest):
                meter.add(file.bytes)
                if file.state == "whole":
                    whole, size = whole + 1, size + file.bytes
                    continue
                counts[file.unit] += 1
                if len(named := bad.setdefault(file.unit, [])) < _NAMED_AT_MOST:
                    named.append(f"{file.path} is {file.state}")
        for unit, count in counts.items():
            manifest.damage(unit, count)
    return VerifySummary(folder, whole, size, bad, counts.total(), unfinished)


def _offer_and_sources(config: DownloadConfig) -> tuple[Offer, list[Source]]:
    """What is asked for, and the sources that can be tried, in order.

    Raises:
        ConfigError: there is no such offer, or no source can be tried.
    """
    offer = with_classes(find_offer(config.dataset, config.subset), config.classes)
    kinds = {config.source} if config.source else set(KINDS)
    if config.source is None and (config.kaggle_slug or config.base_url):
        kinds = {kind for kind, given in (("kaggle", config.kaggle_slug), ("http", config.base_url)) if given}
    known = list(offer.sources)
    if config.kaggle_slug and not config.classes and not any(s.kind == "kaggle" for s in known):
        known.insert(0, Source("kaggle"))
    filled = [
        replace(s, slug=config.kaggle_slug or s.slug) if s.kind == "kaggle"
        else replace(s, base=config.base_url or s.base) if s.kind == "http"
        else s
        for s in known
    ]  # fmt: skip
    usable = [s for s in filled if s.kind in kinds and (s.kind == "gdrive" or s.slug or s.base)]
    if not usable:
        raise ConfigError(_no_source(config, offer, filled))
    return offer, usable


def _no_source(config: DownloadConfig, offer: Offer, sources: list[Source]) -> str:
    ways = []
    for source in sources:
        if source.kind == "kaggle" and not source.slug:
            ways.append("kaggle with --kaggle-slug OWNER/NAME")
        elif source.kind == "http" and not source.base:
            ways.append("http with --base-url URL of a mirror")
        else:
            ways.append(source.kind)
    asked = f"--source {config.source}" if config.source else "these options"
    return f"{config.dataset} {offer.subset} cannot be had with {asked} (it can from: {', '.join(ways)})"


def _described(offer: Offer) -> str:
    size = "" if offer.bytes is None else f", {readable(offer.bytes)}"
    return f"{offer.what}{size} ({', '.join(dict.fromkeys(s.kind for s in offer.sources))})"


def _licence_facts(config: DownloadConfig) -> dict[str, Any]:
    licence = dataset(config.dataset).licence
    return {"licence": licence.name, "licence_url": licence.url, "licence_accepted": config.accept_license}


def _say(lines: list[str]) -> None:
    """Tells the user along the way, on standard error: standard output is for the summary."""
    if sys.stderr is not None:
        sys.stderr.write("".join(f"{line}\n" for line in lines))


@dataclass
class _Meter:
    """Turns bytes into whole megabytes of progress."""

    progress: Progress
    rest: int = field(default=0)

    def add(self, size: int) -> None:
        whole, self.rest = divmod(self.rest + size, _MB)
        if whole:
            self.progress.add(whole)
