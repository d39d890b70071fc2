from __future__ import annotations

import struct
from fractions import Fraction

import av
import cv2
import numpy as np
import pytest

from pgc_data.errors import DataError
from pgc_data.hands.media import read_frames
from pgc_data.hands.video import Video

SIZE = (128, 96)
BITS = 8


def picture(number):
    """A grey image with eight blocks: the bits of `number`."""
    image = np.full((SIZE[1], SIZE[0], 3), 60, np.uint8)
    for bit in range(BITS):
        image[32:64, bit * 16 : bit * 16 + 16] = 220 if number >> bit & 1 else 20
    return image


def number_in(image):
    return sum(int(image[48, bit * 16 + 8].mean() > 120) << bit for bit in range(BITS))


def write(path, count=40, codec="mpeg4", times_ms=None, pixels="yuv420p", gop=10, b_frames=0):
    """A video whose frame n shows the number n, at 25 frames a second or at `times_ms`."""
    unit = Fraction(1, 25) if times_ms is None else Fraction(1, 1000)
    with av.open(str(path), "w") as container:
        options = {"g": str(gop), "bf": str(b_frames)} if codec == "mpeg4" else {}
        stream = container.add_stream(codec, rate=25, options=options)
        stream.width, stream.height = SIZE
        stream.pix_fmt = pixels
        stream.codec_context.time_base = unit
        for number in range(1, count + 1):
            frame = av.VideoFrame.from_ndarray(picture(number), format="bgr24")
            frame.time_base, frame.pts = unit, number - 1 if times_ms is None else times_ms[number - 1]
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def spoil(path, packets):
    """Overwrites some packets of a video, counted from 0 in the order of the file."""
    with av.open(str(path)) as container:
        places = [(p.pos, p.size) for p in container.demux(video=0) if p.size]
    data = bytearray(path.read_bytes())
    for position, size in (places[n] for n in packets):
        data[position : position + size] = bytes(size)
    path.write_bytes(data)


def seen(path):
    """Number -> number shown, None where the frame is damaged."""
    with Video(path) as video:
        found = [(frame.number, frame.bgr()) for frame in video.frames()]
    return {number: None if image is None else number_in(image) for number, image in found}


def count(path):
    with Video(path) as video:
        return video.count()


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("plain.mp4", {}),
        ("plain.avi", {}),
        ("b.mp4", {"b_frames": 2}),
        ("b.mkv", {"b_frames": 2}),
        ("b.avi", {"b_frames": 2}),
        ("every-frame-a-key.avi", {"codec": "mjpeg", "pixels": "yuvj420p"}),
        ("ten-bit.mkv", {"codec": "ffv1", "pixels": "yuv420p10le"}),
        ("grey.mkv", {"codec": "ffv1", "pixels": "gray"}),
        ("uneven.mp4", {"times_ms": [n * n for n in range(40)]}),
    ],
)
def test_every_frame_has_its_number_and_they_are_counted(tmp_path, name, settings):
    path = write(tmp_path / name, **settings)
    assert seen(path) == {n: n for n in range(1, 41)}
    assert count(path) == 40


@pytest.mark.parametrize("name", ["v.mp4", "v.mkv"])
def test_times_are_those_of_the_file_whatever_rate_is_given(tmp_path, name):
    times = [500, 510, 600, 603, 900, 1500]
    path = write(tmp_path / name, 6, times_ms=times)
    found = list(read_frames(path, "video", [(1, 2), (4, 7)], fps=30))
    exact = [0, 0.01, 0.103, 0.4, 1.0]
    assert [f.timestamp_s for f in found[:5]] == pytest.approx(exact, abs=1e-9)
    assert [f.status for f in found] == ["decoded"] * 5 + ["missing"]
    assert found[5].timestamp_s == pytest.approx(1.0 + 1 / 30)


@pytest.mark.skipif("libx264" not in av.codecs_available, reason="this FFmpeg cannot write H.264")
def test_without_a_time_of_its_own_a_frame_goes_by_the_rate(tmp_path):
    path = write(tmp_path / "v.h264", 5, codec="libx264")
    with Video(path) as video:
        assert [(frame.number, frame.seconds) for frame in video.frames()] == [(n, None) for n in range(1, 6)]
    assert [f.timestamp_s for f in read_frames(path, "video", [(1, 5)], 10)] == [0, 0.1, 0.2, 0.3, 0.4]


def test_frames_of_a_steady_video_have_the_times_of_its_rate(tmp_path):
    path = write(tmp_path / "v.mp4", 30)
    assert [f.timestamp_s for f in read_frames(path, "video", [(1, 30)], 25)] == [n / 25 for n in range(30)]


@pytest.mark.parametrize(
    ("settings", "packets", "damaged"),
    [
        # Key frames are 1, 11, 21 and 31: what is made of a damaged frame is damaged up to the next.
        ({}, [24], range(25, 31)),
        ({}, [20], range(21, 31)),
        ({}, [0], range(1, 11)),
        ({}, [38, 39], [39, 40]),
        ({"codec": "mjpeg", "pixels": "yuvj420p"}, [19], [20]),
        ({"codec": "mjpeg", "pixels": "yuvj420p"}, [0, 5, 6, 39], [1, 6, 7, 40]),
        ({"codec": "mjpeg", "pixels": "yuvj420p"}, range(1, 39), range(2, 40)),
    ],
)
def test_damaged_frames_are_told_and_the_others_keep_their_numbers(tmp_path, settings, packets, damaged):
    path = write(tmp_path / "v.mp4", **settings)
    spoil(path, packets)
    assert seen(path) == {n: None if n in damaged else n for n in range(1, 41)}
    statuses = [f.status for f in read_frames(path, "video", [(1, 41)], 25)]
    assert statuses == ["undecodable" if n in damaged else "decoded" for n in range(1, 41)] + ["missing"]


@pytest.mark.parametrize("packet", range(1, 20))
def test_damage_among_frames_that_are_stored_out_of_order_shows_nothing_wrong(tmp_path, packet):
    path = write(tmp_path / "v.mp4", b_frames=2, gop=12)
    spoil(path, [packet])
    found = seen(path)
    assert list(found) == list(range(1, 41))
    assert None in found.values()
    assert all(shown == number for number, shown in found.items() if shown is not None)


@pytest.mark.parametrize("name", ["v.mkv", "v.avi"])
def test_a_video_that_breaks_off_ends_there(tmp_path, name):
    path = write(tmp_path / name, codec="mjpeg", pixels="yuvj420p")
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    found = list(read_frames(path, "video", [(1, 40)], 25))
    whole = [f.number for f in found if f.status == "decoded"]
    assert whole == list(range(1, len(whole) + 1))
    assert 10 < len(whole) < 30
    assert {f.status for f in found[len(whole) + 1 :]} == {"missing"}


def test_a_video_without_frames_ends_at_none(tmp_path):
    cv2.VideoWriter(str(tmp_path / "v.avi"), cv2.VideoWriter_fourcc(*"MJPG"), 30, (64, 48)).release()
    assert count(tmp_path / "v.avi") == 0
    found = list(read_frames(tmp_path / "v.avi", "video", [(1, 2)], 30))
    assert [(f.status, f.detail) for f in found] == [("missing", "the video ends at frame 0")] * 2


def test_sound_alone_is_no_video(tmp_path):
    with av.open(str(tmp_path / "v.mp4"), "w") as container:
        stream = container.add_stream("aac", rate=44100)
        sound = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        sound.sample_rate = 44100
        container.mux(stream.encode(sound))
        container.mux(stream.encode(None))
    with pytest.raises(DataError, match=r"v.mp4 cannot be opened as a video"):
        Video(tmp_path / "v.mp4")


@pytest.mark.parametrize(
    ("matrix", "turns"),
    [
        ((0, 1, 0, -1, 0, 0, 0, 0, 1), 3),
        ((-1, 0, 0, 0, -1, 0, 0, 0, 1), 2),
        ((0, -1, 0, 1, 0, 0, 0, 0, 1), 1),
    ],
)
def test_a_video_is_turned_as_its_file_says(tmp_path, matrix, turns):
    path = write(tmp_path / "v.mp4", 3)
    with Video(path) as video:
        upright = next(video.frames()).bgr()
    data = bytearray(path.read_bytes())
    at = data.find(b"tkhd") + 44
    data[at : at + 36] = b"".join(
        struct.pack(">i", value * (1 << 30 if place % 3 == 2 else 1 << 16))
        for place, value in enumerate(matrix)
    )
    path.write_bytes(data)
    with Video(path) as video:
        assert (next(video.frames()).bgr() == np.rot90(upright, turns)).all()


def test_the_rate_is_what_the_file_says_on_average(tmp_path):
    with Video(write(tmp_path / "v.mp4")) as video:
        assert video.fps == 25
    with Video(write(tmp_path / "w.mp4", 11, times_ms=[n * 100 for n in range(11)])) as video:
        assert video.fps == pytest.approx(10, rel=0.1)


def test_what_is_left_before_its_end_is_closed(tmp_path):
    path = write(tmp_path / "v.mp4")
    frames = read_frames(path, "video", [(1, 40)], 25)
    assert next(frames).number == 1
    frames.close()
    path.unlink()
    assert [f.status for f in read_frames(path, "video", [(1, 1)], 25)] == ["missing"]
