"""What becomes of real IPN clips as windows: kept and dropped by rule and label, 12 against 30 fps, signs of throws.

python tests/bench/report_ipn_windows.py WORKSPACE [SOURCE]

Needs an extracted IPN source. Four tables: windows of `ipn14` at stride 4 by what became of them; the largest
difference between our features and those of the plain implementation in the tests; the differences of the
invariant blocks between all frames and every 2.5th one; and which way wrist and middle fingertip go in the fastest
stroke of each throw.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import polars as pl

sys.path.insert(0, str(Path(__file__).parents[1] / "features"))
import features_reference as reference

from pgc_data.datasets.vocabularies import load_vocabulary
from pgc_data.features import SCHEMA, HandSequence, cut_windows, feature_set, frame_features
from pgc_data.storage.workspace import Workspace
from pgc_data.tables.clips import hand_clips
from pgc_data.tables.inputs import ExtractedSource, open_sources
from pgc_data.tables.windows import WindowsBuilder

INVARIANT = ("position", "fingertip_spread", "joint_angles")
THROWS = {"G03": (1, -1, "up"), "G04": (1, 1, "down"), "G05": (0, 1, "left"), "G06": (0, -1, "right")}
MIDDLE_TIP = 12


def main(workspace: Path, name: str) -> None:
    (source,) = open_sources(Workspace(workspace), [name], load_vocabulary("ipn14"))
    clips = [clip for shard in range(source.shards) for clip in hand_clips(source, shard)]
    fates(source)
    against_the_plain_one([clip.sequence for clip in clips])
    at_12_fps([clip.sequence for clip in clips])
    throws(source, clips)


def fates(source: ExtractedSource) -> None:
    builder = WindowsBuilder(load_vocabulary("ipn14"), feature_set("feature-schema-v1"), 16, 4, 1)
    rows = []
    for shard in range(source.shards):
        found, dropped = builder.count(source, shard)
        classes = found.group_by("class_id").agg(pl.col("n").sum()).iter_rows()
        rows += [(builder.vocabulary.classes[number], "kept", n) for number, n in classes]
        names = builder.vocabulary.mapped["ipn"]
        rows += [(names.get(label, label), reason, n) for (reason, label), n in dropped.items()]
    table = pl.DataFrame(rows, schema=["label", "fate", "n"], orient="row")
    table = table.pivot(on="fate", index="label", values="n", aggregate_function="sum").fill_null(0)
    table = table.with_columns(candidates=pl.sum_horizontal(pl.exclude("label"))).sort("label")
    total = table.select(pl.lit("all").alias("label"), pl.exclude("label").sum())
    table = pl.concat([table, total]).with_columns(
        kept_share=(pl.col("kept") / pl.col("candidates")).round(3)
    )
    with pl.Config(tbl_rows=-1, tbl_cols=-1, tbl_hide_dataframe_shape=True, tbl_hide_column_data_types=True):
        print(table)


def against_the_plain_one(sequences: list[HandSequence]) -> None:
    moving = np.zeros(SCHEMA.frame_dims, bool)
    moving[SCHEMA.indices("velocity", "wrist_vel_raw")] = True
    worst, count = [0.0, 0.0], 0
    for hand in sequences:
        rows = reference.frames(
            hand.landmarks.tolist(),
            hand.timestamps.tolist(),
            hand.track_ids.tolist(),
            hand.width,
            hand.height,
        )
        kept, _ = reference.windows(rows, stride=1)
        ours = cut_windows(frame_features(hand), stride=1)
        if [start for start, _, _ in kept] != ours.start.tolist():
            raise SystemExit("the plain implementation keeps other windows")
        if kept:
            apart = np.abs(ours.features - np.array([window for _, window, _ in kept])).max(axis=(0, 1))
            worst = [max(worst[0], apart[~moving].max()), max(worst[1], apart[moving].max())]
        count += len(kept)
    print(
        f"plain implementation, {count:,} windows: largest difference {worst[0]:.1e}, velocities {worst[1]:.1e}"
    )


def at_12_fps(sequences: list[HandSequence]) -> None:
    """A source of 12 fps takes the frame nearest to each twelfth of a second."""
    apart: dict[str, list[np.ndarray]] = {block: [] for block in INVARIANT}
    for hand in sequences:
        ticks = np.arange(0, hand.timestamps[-1], 1 / 12)
        rows = np.abs(hand.timestamps[None] - ticks[:, None]).argmin(axis=1)
        slow = HandSequence(hand.landmarks[rows], ticks, hand.track_ids[rows], hand.width, hand.height)
        a, b = frame_features(slow), frame_features(hand)
        both = np.flatnonzero(a.usable & b.usable[: len(a)])
        for block in INVARIANT:
            columns = SCHEMA.block(block).columns
            apart[block].append(np.abs(a.values[both, columns] - b.values[both, columns]).max(axis=1))
    for block, parts in apart.items():
        p50, p90, p99 = np.percentile(np.concatenate(parts), [50, 90, 99])
        unit = SCHEMA.block(block).unit
        print(f"12 against 30 fps, {block}: median {p50:.3f}, 90 % {p90:.3f}, 99 % {p99:.3f} {unit}")


def throws(source: ExtractedSource, clips: list) -> None:
    """Strokes are means over five frames; a fingertip's speed is taken in the image, like the wrist's."""
    for label, (axis, sign, name) in THROWS.items():
        right = {"wrist": 0, "fingertip": 0}
        found = 0
        for row in source.samples.filter(pl.col("label") == label).iter_rows(named=True):
            (clip,) = [c for c in clips if c.media == row["media"]]
            inside = clip.frames["frame"].is_between(row["frame_start"], row["frame_end"]).to_numpy()
            hand = clip.sequence
            part = HandSequence(
                hand.landmarks[inside],
                hand.timestamps[inside],
                hand.track_ids[inside],
                hand.width,
                hand.height,
            )
            frames = frame_features(part)
            wrist = frames.values[:, SCHEMA.block("wrist_vel_raw").columns][:, axis]
            relative = frames.values[:, SCHEMA.block("velocity").columns].reshape(-1, 21, 3)[
                :, MIDDLE_TIP, axis
            ]
            aspect = hand.width / hand.height if axis else 1.0
            tip = wrist + relative * frames.scale * aspect
            found += 1
            for key, speed in (("wrist", wrist), ("fingertip", tip)):
                smooth = np.convolve(speed, np.full(5, 0.2), "same")
                right[key] += int(smooth[np.abs(smooth).argmax()] * sign > 0)
        print(
            f"throw {name}: fastest stroke of the wrist in its direction in {right['wrist']} of {found}, "
            f"of the middle fingertip in {right['fingertip']}"
        )


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else "ipn")
