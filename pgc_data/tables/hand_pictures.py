"""The crops of extracted hands by number: their hashes at hand, their pixels read when they are asked for."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import polars as pl
from numpy.typing import NDArray

from pgc_data.progress import Progress
from pgc_data.similarity import THUMBNAIL_BYTES, hash_numbers, thumbnail
from pgc_data.storage.parquet import open_parquet, read_frame
from pgc_data.storage.remote import temporary_folder
from pgc_data.tables.inputs import ExtractedSource

_Ints = NDArray[np.int64]


class Pictures(Protocol):
    """Pictures by number."""

    @property
    def hashes(self) -> NDArray[np.uint64]:
        """(n,) perceptual hashes."""

    def pixels(self, hands: _Ints) -> Iterator[tuple[int, bytes]]:
        """Number and PNG bytes of some of them, by their numbers (m,), ascending."""


@dataclass(frozen=True, eq=False)
class HandPictures:
    """Every hand of some sources that has a crop and belongs to a sample, in the order of the sources and their shards.

    Attributes:
        sources: where they were extracted.
        hashes: (n,) perceptual hashes.
        group_ids: the groups, sorted.
        groups: (n,) number of each hand's group in `group_ids`.
        places: (n, 3) source, shard and row in the shard's hands.
    """

    sources: Sequence[ExtractedSource]
    hashes: NDArray[np.uint64]
    group_ids: tuple[str, ...]
    groups: _Ints
    places: NDArray[np.int32]

    def name(self, hand: int) -> str:
        """Source, media and frame of a hand, for people."""
        source, shard, row = self.places[hand].tolist()
        found = read_frame(self.sources[source].shard("hands", shard), "hands", ["media", "frame"])[row]
        return f"{self.sources[source].source.name}/{found['media'][0]} frame {found['frame'][0]}"

    def pixels(self, hands: _Ints) -> Iterator[tuple[int, bytes]]:
        """The PNG bytes of some hands, by their number, in their order.

        Args:
            hands: (m,) numbers, ascending.
        """
        places = self.places[hands]
        for at, stop in _runs(places[:, :2]):
            source, shard = places[at, :2].tolist()
            path = self.sources[source].shard("hands", shard)
            with open_parquet(path, "hands") as file:
                first = 0
                for group in range(file.num_row_groups):
                    rows = file.metadata.row_group(group).num_rows
                    mine = slice(*(at + np.searchsorted(places[at:stop, 2], [first, first + rows])).tolist())
                    if mine.stop > mine.start:
                        crops = file.read_row_group(group, columns=["crop"])["crop"]
                        for hand, row in zip(hands[mine].tolist(), places[mine, 2].tolist(), strict=True):
                            yield hand, crops[row - first].as_py()
                    first += rows


def hand_pictures(sources: Sequence[ExtractedSource]) -> HandPictures:
    """Reads the hashes of all hands of some sources."""
    group_ids = sorted({group for source in sources for group in source.groups})
    number_of = {group: number for number, group in enumerate(group_ids)}
    parts = [(np.empty(0, np.uint64), np.empty(0, np.int64), np.empty((0, 3), np.int32))]
    for number, source in enumerate(sources):
        group_of = {
            media: number_of[source.samples["group_id"][first]] for media, (first, _) in source.spans.items()
        }
        parts += [_shard_pictures(source, number, shard, group_of) for shard in range(source.shards)]
    hashes, groups, places = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    return HandPictures(sources, hashes, tuple(group_ids), groups, places)


def _shard_pictures(
    source: ExtractedSource, number: int, shard: int, group_of: Mapping[str, int]
) -> tuple[NDArray[np.uint64], _Ints, NDArray[np.int32]]:
    """Hashes (n,), groups (n,) and places (n, 3) of the hands of a shard."""
    hands = read_frame(source.shard("hands", shard), "hands", ["media", "phash"]).with_row_index("row")
    group = pl.col("media").replace_strict(group_of, default=None, return_dtype=pl.Int64)
    known = hands.with_columns(group=group).filter(
        pl.col("phash").is_not_null() & pl.col("group").is_not_null()
    )
    places = np.full((known.height, 3), (number, shard, 0), dtype=np.int32)
    places[:, 2] = known["row"].to_numpy()
    return hash_numbers(known["phash"]), known["group"].to_numpy(), places


def _runs(keys: NDArray[Any]) -> Iterator[tuple[int, int]]:
    """Where runs of equal rows begin and end."""
    if len(keys):
        starts = [0, *(np.flatnonzero((keys[1:] != keys[:-1]).any(axis=1)) + 1).tolist()]
        yield from zip(starts, [*starts[1:], len(keys)], strict=True)


def digests(pictures: Pictures, hands: _Ints) -> NDArray[np.uint64]:
    """(m,) the first 64 bits of the sha256 of the crops' bytes, of some hands, ascending."""
    found = (hashlib.sha256(png).digest()[:8] for _, png in pictures.pixels(hands))
    return np.frombuffer(b"".join(found), dtype=np.uint64)


@contextmanager
def thumbnails(pictures: Pictures, hands: _Ints) -> Iterator[NDArray[np.uint8]]:
    """(m, bytes) thumbnails of some hands, ascending, in a file while the block runs."""
    with temporary_folder() as folder, Progress("compare pictures", len(hands), "hands") as progress:
        shape = (len(hands), THUMBNAIL_BYTES)
        path: Path = folder / "thumbnails"
        # Not through a map: a full disk would end the process without a word.
        with path.open("wb") as file:
            for _, png in pictures.pixels(hands):
                file.write(thumbnail(png).data)
                progress.add(1)
        found = np.memmap(path, np.uint8, "r", shape=shape) if len(hands) else np.empty(shape, np.uint8)
        yield found
        del found
