"""Taking a gzip stream up again in the middle."""

from __future__ import annotations

import gzip
import io
import zlib

import numpy as np
import pytest
from downloads.download_servers import noise

from pgc_data.downloads.gunzip import Gunzip, Restart


def text(size):
    rng = np.random.default_rng(0)
    return b"".join(b"%d of %d lines\n" % (n, rng.integers(1000)) for n in range(size // 18))


def half_random(size):
    """Like a tar archive of JPEG files: headers of zeros between bytes of uneven frequency."""
    rng = np.random.default_rng(1)
    body = np.minimum(rng.geometric(0.02, size), 255).astype(np.uint8).tobytes()
    return b"".join(body[n : n + 3000] + bytes(512) for n in range(0, size, 3000))


def alternating(size):
    """Makes gzip switch between stored and coded blocks."""
    return b"".join(noise(70_000, n) + text(70_000) for n in range(size // 140_000))


class Cut:
    """Gives `data`, and at `cut` asks the reader for a restart point."""

    def __init__(self, data, cut):
        self.data, self.cut, self.at, self.reader, self.restart = data, cut, 0, None, None

    def read(self, size=-1):
        if self.at == self.cut:
            self.restart = self.reader.restart()
        end = min(self.at + size, self.cut if self.at < self.cut else len(self.data))
        piece, self.at = self.data[self.at : end], end
        return piece


def everything(reader):
    return b"".join(iter(lambda: reader.read(77_777), b""))


@pytest.mark.parametrize("level", [1, 6])
@pytest.mark.parametrize("make", [noise, text, half_random, alternating])
@pytest.mark.parametrize("share", [0.35, 0.8])
def test_the_rest_reads_the_same_after_a_restart(tmp_path, make, level, share):
    raw = make(900_000)
    packed = gzip.compress(raw, level)
    source = Cut(packed, int(len(packed) * share))
    reader = source.reader = Gunzip(source)
    start = reader.read(100_001)
    reader.mark(100_000)
    assert start + everything(reader) == raw
    assert source.restart is not None
    source.restart.save(tmp_path / "point", {"part": 3})
    restart, facts = Restart.load(tmp_path / "point")
    assert facts["part"] == 3
    assert everything(Gunzip(io.BytesIO(packed[source.cut :]), restart)) == raw[100_000:]
    with pytest.raises(EOFError):
        everything(Gunzip(io.BytesIO(packed[source.cut : -20]), restart))


def test_members_follow_each_other_and_zeros_are_padding():
    packed = gzip.compress(b"one") + gzip.compress(b"two") + bytes(100)
    assert everything(Gunzip(io.BytesIO(packed))) == b"onetwo"


@pytest.mark.parametrize(("data", "error"), [(b"", EOFError), (b"no gzip at all", zlib.error)])
def test_what_is_no_gzip_is_an_error(data, error):
    with pytest.raises(error):
        Gunzip(io.BytesIO(data)).read(10)


def test_memory_stays_bounded_and_no_point_is_given_for_what_is_gone():
    packed = gzip.compress(bytes(100 << 20), 1)
    source = Cut(packed, len(packed) // 2)
    reader = source.reader = Gunzip(source)
    total = 0
    while piece := reader.read(1 << 20):
        total += len(piece)
        reader.mark(total)
        assert len(reader._output) < 64 << 20
    assert total == 100 << 20
