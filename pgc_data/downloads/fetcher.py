"""Getting an offer from one source into a raw folder, unit by unit, into the manifest."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

from pgc_data.downloads import gdrive, http, kaggle
from pgc_data.downloads.archives import Destination, unpack
from pgc_data.downloads.failures import ArchiveError, NotFoundError, SourceError
from pgc_data.downloads.http import Expected, Fetched
from pgc_data.downloads.joined import SplitArchive
from pgc_data.downloads.links import files_below, link
from pgc_data.downloads.manifest import FOLDER, Listing, Manifest
from pgc_data.downloads.sources import OFFERS, RemoteFile, Source
from pgc_data.errors import DataError
from pgc_data.storage.files import sha256_json

# Below the raw folder, while archives come, or for good with `--keep-archives`.
ARCHIVES = "archives"

# Gets a remote file to a path.
Transport = Callable[[RemoteFile, Path], Fetched]


@dataclass
class Job:
    """One run of `download`.

    Attributes:
        manifest: of the raw folder.
        retries: of a broken transfer.
        keep_archives: whether archives stay once they are unpacked.
        received: called with bytes that came over the network.
        transferred: bytes that came over the network in this run.
        there: bytes of units that were in their place before this run.
        written: files put in their place in this run, by how: unpacked, downloaded, hard link, symbolic link, copy.
        units: that were met in this run, done before or not.
    """

    manifest: Manifest
    retries: int
    keep_archives: bool
    received: Callable[[int], None]
    transferred: int = 0
    there: int = 0
    written: Counter[str] = field(default_factory=Counter)
    units: list[str] = field(default_factory=list)

    @property
    def raw(self) -> Path:
        """The raw folder."""
        return self.manifest.raw

    def count(self, size: int) -> None:
        """Counts bytes that came over the network."""
        self.transferred += size
        self.received(size)

    def skip(self, unit: str) -> bool:
        """Whether a unit is in its place already; counts it then."""
        self.units.append(unit)
        done = self.manifest.is_done(unit)
        if done:
            self.there += self.manifest.units[unit]["bytes"]
        return done


def fetch_source(job: Job, source: Source) -> None:
    """Gets everything that `source` has of an offer; what is in its place already is left alone.

    Raises:
        SourceError: the source cannot give it; what did come is kept.
        DataError: the raw folder cannot be written.
    """
    if source.kind == "kaggle":
        _fetch_kaggle(job, source.slug)
        return
    transport = _http(job, source.base) if source.kind == "http" else _drive(job)
    if source.joined is not None:
        _fetch_joined(job, source, transport)
        return
    for file in _all_files(source):
        if not job.skip(file.name):
            _fetch_file(job, source.kind, file, transport)


def _all_files(source: Source) -> Iterator[RemoteFile]:
    for folder_id, into, unpacks in source.folders:
        yield from gdrive.list_folder(folder_id, into, unpacks)
    yield from source.files


def _http(job: Job, base: str) -> Transport:
    def transport(file: RemoteFile, target: Path) -> Fetched:
        missing = []
        for path in (file.path, *file.alternatives):
            url = f"{base.rstrip('/')}/{quote(path)}"
            try:
                return http.fetch(url, target, Expected(file.bytes, file.sha256), job.retries, job.count)
            except NotFoundError as error:
                missing.append(str(error))
        raise NotFoundError("; ".join(missing))

    return transport


def _drive(job: Job) -> Transport:
    return lambda file, target: gdrive.fetch(file, target, job.retries, job.count)


def _fetch_file(job: Job, kind: str, file: RemoteFile, transport: Transport) -> None:
    """One unit: a file, or an archive with its content."""
    if file.into is None:
        fetched = _whole(job, kind, file.name, file, job.raw / file.name, transport)
        listing = Listing(job.raw, file.name)
        listing.add(file.name, fetched.bytes, fetched.sha256)
        listing.finish()
        job.written["downloaded"] += 1
        job.manifest.finish(file.name, kind, listing, {"how": "downloaded"})
        return
    archive = job.raw / ARCHIVES / file.name
    _whole(job, kind, file.name, file, archive, transport)
    try:
        _unpack(job, kind, file, archive)
    except ArchiveError:
        archive.unlink(missing_ok=True)
        raise
    _remove_archive(job, archive)


def _whole(job: Job, kind: str, unit: str, file: RemoteFile, target: Path, transport: Transport) -> Fetched:
    """Gets a file whole, or finds it here whole, and records where it came from."""
    origin = job.manifest.origin(unit, file.name)
    expected = Expected(file.bytes, file.sha256)
    if origin is not None:
        expected = Expected(origin["bytes"], origin["sha256"])
    there = http.existing(target, expected)
    if there is not None and origin is not None:
        return there
    fetched = there or transport(file, target)
    job.manifest.add_origin(unit, kind, file.name, fetched)
    return fetched


def _unpack(job: Job, kind: str, file: RemoteFile, archive: Path) -> None:
    assert file.into is not None
    to = Destination(job.raw / file.into, file.root, not job.manifest.is_suspect(file.name))
    listing = Listing(job.raw, file.name)
    try:
        for unpacked in unpack(archive, to):
            path = f"{file.into}/{unpacked.path}" if file.into else unpacked.path
            listing.add(path, unpacked.bytes, unpacked.sha256)
            job.written["unpacked"] += unpacked.written
        listing.finish()
    finally:
        listing.close()
    job.manifest.finish(file.name, kind, listing, {"how": "unpacked"})


def _remove_archive(job: Job, archive: Path) -> None:
    if not job.keep_archives:
        archive.unlink(missing_ok=True)
        folder = archive.parent
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()


def _fetch_joined(job: Job, source: Source, transport: Transport) -> None:
    assert source.joined is not None
    unit, files, folder = source.joined, source.files, job.raw / ARCHIVES
    if job.skip(unit):
        return

    def get(number: int) -> Path:
        target = folder / files[number].name
        _whole(job, source.kind, unit, files[number], target, transport)
        return target

    def remove(number: int) -> None:
        _remove_archive(job, folder / files[number].name)

    try:
        _unpack_joined(job, source.kind, source, get, None if job.keep_archives else remove)
    except ArchiveError:
        for file in files:
            (folder / file.name).unlink(missing_ok=True)
        _restart_point(job, unit).unlink(missing_ok=True)
        raise


def _unpack_joined(
    job: Job, kind: str, source: Source, get: Callable[[int], Path], remove: Callable[[int], None] | None
) -> None:
    unit = source.joined or ""
    sizes = [file.size or 0 for file in source.files]
    split = SplitArchive(unit, sizes, get, remove, _restart_point(job, unit))
    listings: list[Listing] = []

    def begin_list(known: dict[str, int]) -> Listing:
        listings.append(Listing(job.raw, unit, known["offset"], known["files"], known["bytes"]))
        return listings[0]

    to = Destination(job.raw, None, not job.manifest.is_suspect(unit))
    for file in split.unpack(to, begin_list):
        job.written["unpacked"] += file.written
    job.manifest.finish(unit, kind, listings[0], {"how": "unpacked"})
    split.clean()


def _restart_point(job: Job, unit: str) -> Path:
    return job.raw / FOLDER / f"{unit}.restart"


def _fetch_kaggle(job: Job, slug: str) -> None:
    unit = f"kaggle:{slug}"
    if job.skip(unit):
        return
    folder, was_cached = kaggle.fetch_dataset(slug, job.retries, job.manifest.is_suspect(unit))
    listing, how = _link_all(job, unit, folder, files_below(folder))
    if not listing.files:
        raise SourceError(f"Kaggle {slug} holds no files")
    if not was_cached:
        # kagglehub does not say what it transferred: the size of what it unpacked.
        job.count(listing.bytes)
    origin = {
        slug: {"url": f"https://www.kaggle.com/datasets/{slug}", "bytes": listing.bytes, "sha256": None}
    }
    job.manifest.finish(unit, "kaggle", listing, {"how": how, "from": origin})


def _link_all(job: Job, unit: str, folder: Path, paths: Iterator[str]) -> tuple[Listing, str]:
    listing, ways = Listing(job.raw, unit), Counter[str]()
    try:
        for path in paths:
            linked = link(folder / path, job.raw, path, job.manifest.is_suspect(unit))
            listing.add(path, linked.bytes, linked.sha256)
            ways[linked.how] += 1
        listing.finish()
    finally:
        listing.close()
    job.written.update(ways)
    return listing, ", ".join(sorted(ways))


def fetch_folder(job: Job, dataset: str, folder: Path) -> None:
    """Takes over a folder of this machine: known archives in it are unpacked, all else is linked.

    Raises:
        DataError: it is no folder or is empty, an archive in it is damaged or incomplete, another file is in the way.
    """
    if not folder.is_dir():
        raise DataError(f"--from-dir {folder} is no folder")
    names = list(files_below(folder))
    if not names:
        raise DataError(f"--from-dir {folder} holds no files")
    if "synthetic.json" in names:
        raise DataError(
            f"--from-dir {folder} is drawn (synthetic.json): it cannot stand in for the real dataset"
        )
    sources = [source for offer in OFFERS[dataset] for source in offer.sources]
    by_name = {Path(name).name: folder / name for name in names}
    known = {file.name for source in sources for file in source.files}
    twice = [name for name in names if Path(name).name in known and by_name[Path(name).name] != folder / name]
    if twice:
        raise DataError(
            f"{folder / twice[0]} and {by_name[Path(twice[0]).name]} have one name: leave only the one that is meant"
        )
    used = set()
    for source in (s for s in sources if s.joined):
        used |= _take_joined(job, source, by_name)
    for file in (f for s in sources for f in s.files if f.into is not None and s.joined is None):
        if file.name in by_name and file.name not in used:
            used.add(file.name)
            _take_archive(job, file, by_name[file.name])
    others = [name for name in names if Path(name).name not in used and name not in {"download.json"}]
    unit = f"dir:{folder.resolve()}"
    content = sha256_json([(name, (folder / name).stat().st_size) for name in others])
    same = content == job.manifest.units.get(unit, {}).get("content")
    if others and not (same and job.skip(unit)):
        listing, how = _link_all(job, unit, folder, iter(others))
        job.manifest.finish(unit, "dir", listing, {"how": how, "content": content})


def _take_archive(job: Job, file: RemoteFile, archive: Path) -> None:
    if not job.skip(file.name):
        there = http.existing(archive, Expected(file.bytes, file.sha256))
        if there is None:
            raise DataError(f"{archive} is not the {file.name} expected (another size or sha256)")
        job.manifest.add_origin(
            file.name, "dir", file.name, Fetched(str(archive), there.bytes, there.sha256, 0)
        )
        _unpack(job, "dir", file, archive)


def _take_joined(job: Job, source: Source, by_name: dict[str, Path]) -> set[str]:
    parts = {file.name: by_name[file.name] for file in source.files if file.name in by_name}
    if not parts or job.skip(source.joined or ""):
        return set(parts)
    missing = [file.name for file in source.files if file.name not in parts]
    if missing:
        raise DataError(
            f"{next(iter(parts.values()))} is one of {len(source.files)} parts: {missing[0]} is missing"
        )

    def get(number: int) -> Path:
        file = source.files[number]
        there = http.existing(parts[file.name], Expected(file.bytes, file.sha256))
        if there is None:
            raise DataError(f"{parts[file.name]} is not the {file.name} expected (another size or sha256)")
        origin = Fetched(str(parts[file.name]), there.bytes, there.sha256, 0)
        job.manifest.add_origin(source.joined or "", "dir", file.name, origin)
        return parts[file.name]

    _unpack_joined(job, "dir", source, get, None)
    return set(parts)
