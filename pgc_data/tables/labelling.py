"""Which sample, and so which class, a frame or a hand belongs to."""

from __future__ import annotations

import polars as pl

from pgc_data.tables.inputs import EXCLUDED, ExtractedSource

# The hull of the joints lies inside a well-drawn box; two hands of one image overlap far less than this.
MIN_OVERLAP = 0.2
NEAR_DUPLICATE = "near_duplicate"
_FACTS = ("sample_id", "label", "video_id", "subject_id", "group_id", "fps")


def label_frames(frames: pl.DataFrame, samples: pl.DataFrame) -> pl.DataFrame:
    """Finds the sample and class of each frame.

    Args:
        frames: rows with `media` and `frame`, and an integer `row` that names them.
        samples: as `ExtractedSource.samples_of` gives them.

    Returns:
        One row for each row of `frames`, in its order: `row, sample, class_id, reason`. Where `class_id` is -1,
        `reason` says why: `no_sample`, `unlabelled`, `excluded_label` or `conflicting_labels` (the frame lies in
        samples of different classes, or of a class and an excluded label).
    """
    return _settle(frames, _candidates(frames, samples))


def label_hands(hands: pl.DataFrame, samples: pl.DataFrame) -> pl.DataFrame:
    """Finds the sample and class of each hand.

    Where samples have annotated boxes, a hand belongs to the sample whose box it overlaps most.

    Args:
        hands: as `frames` in `label_frames`, with `box` (x, y, width, height, pixels), `image_width` and
            `image_height`.
        samples: as `ExtractedSource.samples_of` gives them.

    Returns:
        As `label_frames`; a further reason is `no_annotated_box`.
    """
    found = _candidates(hands, samples)
    boxed = found.filter(pl.col("boxes").is_not_null())
    if boxed.is_empty():
        return _settle(hands, found)
    matched = _best_box(boxed, hands)
    labels = _settle(
        hands, pl.concat([found.filter(pl.col("boxes").is_null()), matched.select(found.columns)])
    )
    lost = pl.col("row").is_in(boxed["row"].implode()) & (pl.col("reason") == "no_sample")
    reason = pl.when(lost).then(pl.lit("no_annotated_box")).otherwise(pl.col("reason"))
    return labels.with_columns(reason=reason)


def labelled_hands(source: ExtractedSource, shard: int, hands: pl.DataFrame) -> pl.DataFrame:
    """The hands of a shard with what `label_hands` says of each, and the facts of its sample.

    Args:
        source: where they were extracted.
        shard: number of the shard.
        hands: all of it, as in `label_hands`, without `row`, which numbers them here.

    Returns:
        The rows of `hands` in their order, with `row, sample, class_id, reason` and `_FACTS` besides; a further reason
        is `near_duplicate`.
    """
    hands = hands.with_row_index("row")
    samples = source.samples_of(hands["media"].unique())
    labels = label_hands(hands, samples)
    if aside := source.set_aside.get(shard):
        alike = pl.when(pl.col("row").is_in(aside)).then(pl.lit(NEAR_DUPLICATE))
        labels = labels.with_columns(reason=pl.coalesce("reason", alike))
    return hands.join(labels, on="row", maintain_order="left", validate="1:1").join(
        samples.select("sample", *_FACTS), on="sample", how="left", maintain_order="left", validate="m:1"
    )


def dropped_hands(hands: pl.DataFrame) -> dict[tuple[str, str | None], int]:
    """How many of some hands have a reason to be dropped, by reason and label."""
    dropped = hands.filter(pl.col("reason").is_not_null()).group_by("reason", "label").len()
    return {(reason, label): n for reason, label, n in dropped.iter_rows()}


def _candidates(rows: pl.DataFrame, samples: pl.DataFrame) -> pl.DataFrame:
    """Every pair of a row and a sample whose interval holds it."""
    columns = ("media", "frame_start", "frame_end", "sample", "class_id", "label", "boxes")
    return (
        rows.select("row", "media", "frame")
        .join(samples.select(columns), on="media", how="inner")
        .filter(pl.col("frame").is_between(pl.col("frame_start"), pl.col("frame_end")))
    )


def _best_box(candidates: pl.DataFrame, hands: pl.DataFrame) -> pl.DataFrame:
    """For each hand the one candidate whose box overlaps it most, where any does enough."""
    size = (pl.col("image_width"), pl.col("image_height"))
    sides = [(pl.col("box").arr.get(i) / size[i % 2]).alias(f"hand_{i}") for i in range(4)]
    pairs = candidates.explode("boxes").join(hands.select("row", *sides), on="row", how="left")
    shared, hand_area, box_area = pl.lit(1.0), pl.lit(1.0), pl.lit(1.0)
    for axis in (0, 1):
        start, length = pl.col(f"hand_{axis}"), pl.col(f"hand_{axis + 2}")
        other, width = pl.col("boxes").arr.get(axis), pl.col("boxes").arr.get(axis + 2)
        overlap = pl.min_horizontal(start + length, other + width) - pl.max_horizontal(start, other)
        shared, hand_area, box_area = shared * overlap.clip(0.0), hand_area * length, box_area * width
    pairs = pairs.with_columns(overlap=shared / (hand_area + box_area - shared))
    best = pairs.filter(pl.col("overlap") >= MIN_OVERLAP).sort("row", -pl.col("overlap"), "sample")
    boxes = candidates.schema["boxes"]
    return best.group_by("row", maintain_order=True).first().with_columns(boxes=pl.lit(None, dtype=boxes))


def _settle(rows: pl.DataFrame, candidates: pl.DataFrame) -> pl.DataFrame:
    """One sample and class a row, or the reason why it has none."""
    matched = (
        candidates.sort("row", "sample")
        .group_by("row", maintain_order=True)
        .agg(
            pl.col("sample", "class_id", "label").first(),
            classes=pl.col("class_id").n_unique(),
        )
    )
    reason = (
        pl.when(pl.col("classes").is_null())
        .then(pl.lit("no_sample"))
        .when(pl.col("classes") > 1)
        .then(pl.lit("conflicting_labels"))
        .when(pl.col("label").is_null())
        .then(pl.lit("unlabelled"))
        .when(pl.col("class_id") == EXCLUDED)
        .then(pl.lit("excluded_label"))
    )
    return (
        rows.select("row")
        .join(matched, on="row", how="left", maintain_order="left")
        .with_columns(reason=reason)
        .with_columns(
            class_id=pl.when(pl.col("reason").is_null()).then(pl.col("class_id")).otherwise(EXCLUDED)
        )
        .drop("classes", "label")
    )
