"""PGC's file: named as its extractor names crops, split as its converter splits rows."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import Result

from pgc_data.audits.audit import audit_target
from pgc_data.audits.targets import find_target
from pgc_data.stages.audit import AuditConfig, AuditSummary, run

VIDEOS, FRAMES = 20, 300


def pgc_rows(png: Any) -> list[dict[str, Any]]:
    """20 videos of 300 frames, 40 % of them pointing, in folders of a thousand crops."""
    rows = []
    for number in range(VIDEOS * FRAMES):
        video, frame = number // FRAMES, number % FRAMES + 1
        class_id = int(frame > 180)
        name = f"1CM1_{video}_R_#{217 + video}_{frame:06d}_1.png"
        rows.append(
            {
                "label": ("not_pointing", "pointing")[class_id],
                "class_id": class_id,
                "image_path": f"data/cropped/{number // 1000 + 1:09d}/{name}",
                "source": "train_dataset",
                "image_bytes": png(number),
                "video": video,
            }
        )
    return rows


def split_rows(rows: list[dict[str, Any]]) -> None:
    """As PGC's converter: per label, shuffled with seed 42, cut at 80 %."""
    chance = random.Random(42)
    for label in ("not_pointing", "pointing"):
        chosen = [row for row in rows if row["label"] == label]
        chance.shuffle(chosen)
        for place, row in enumerate(chosen):
            row["split"] = "train" if place < int(len(chosen) * 0.8) else "val"


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    names = ("split", "label", "class_id", "image_path", "source", "image_bytes")
    rows = sorted(rows, key=lambda row: (row["split"], row["label"], row["image_path"]))
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(
        pa.table({name: [row[name] for row in rows] for name in names}), path, compression="snappy"
    )
    return path


def audited(path: Path, **options: Any) -> AuditSummary:
    return run(AuditConfig(path=str(path), output=path.parent / "report", no_probe=True, **options))


def test_its_random_split_leaks(tmp_path: Path, png: Any) -> None:
    rows = pgc_rows(png)
    split_rows(rows)
    summary = audited(write(tmp_path / "pointing_dataset.parquet", rows))
    audit, table = summary.audit, summary.audit.tables["images"]
    assert summary.exit_code == 1
    assert audit.overlap["video_id"] == {"values": VIDEOS, "shared": VIDEOS, "rows": 6000, "rows_without": 0}
    near = table["adjacency"]["val"]
    assert near["rows"] == 1200
    assert 0.95 <= near["share_within_1"] <= 0.97
    assert near["share_within_5"] >= 0.999
    assert {f.kind for f in audit.findings} == {"video_overlap", "adjacent_frames"}
    assert table["roles"]["video"]["how"] == table["roles"]["frame"]["how"] == "file name"
    assert "20 videos" in table["roles"]["frame"]["note"]


def test_the_same_rows_split_by_video_do_not(tmp_path: Path, png: Any) -> None:
    rows = pgc_rows(png)
    for row in rows:
        row["split"] = "val" if row["video"] % 5 == 0 else "train"
    summary = audited(write(tmp_path / "pointing_dataset.parquet", rows))
    assert (summary.exit_code, summary.audit.findings) == (0, ())
    near = summary.audit.tables["images"]["adjacency"]["val"]
    assert (near["rows"], near["within_1"], near["within_5"]) == (1200, 0, 0)
    assert summary.audit.overlap["video_id"]["shared"] == 0


def some_rows(png: Any) -> list[dict[str, Any]]:
    rows = [row for row in pgc_rows(png)[:1500] if int(row["image_path"][-11:-6]) <= 20 or row["class_id"]]
    for row in rows:
        row["split"] = "val" if row["video"] == 4 else "train"
    return rows


def test_our_own_layout_for_pgc(tmp_path: Path, datasets: Any, png: Any) -> None:
    root = datasets.write(manifest=False, crops=datasets.rows())
    write(root / "pgc/dataset.parquet", some_rows(png))
    audit = audit_target(find_target(root), with_probe=False)
    assert list(audit.tables) == ["crops", "pgc"]
    assert audit.tables["pgc"]["splits"].keys() == {"train", "val"}
    assert audit.overlap["video_id"]["values"] == 12 + 5


def test_images_that_the_file_only_names(tmp_path: Path, png: Any) -> None:
    rows = some_rows(png)
    for row in rows:
        path = tmp_path / row["image_path"]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(row["image_bytes"])
    (tmp_path / rows[7]["image_path"]).unlink()
    path = write(tmp_path / "data/cropped/pointing_dataset.parquet", rows)
    table = pq.read_table(path).drop(["image_bytes"])
    pq.write_table(table, path)
    target = find_target(path)
    assert target.tables[0].roles["image"].column == "image_path"
    audit = audit_target(target, with_probe=False)
    assert [(f.kind, f.count) for f in audit.findings] == [("undecodable_image", 1)]


def test_one_class_id_that_is_not_the_label_s(tmp_path: Path, png: Any) -> None:
    rows = some_rows(png)
    rows[3]["class_id"] = 1
    summary = audited(write(tmp_path / "pgc.parquet", rows))
    assert [(f.kind, f.count) for f in summary.audit.findings] == [("bad_label", 1)]


def test_the_command_line(tmp_path: Path, png: Any, cli: Any) -> None:
    rows = pgc_rows(png)
    split_rows(rows)
    path = write(tmp_path / "pgc.parquet", rows)
    result: Result = cli("audit", path, "--output", tmp_path / "report", "--no-probe")
    assert result.exit_code == 1
    assert "20 videos of 20 (100.0 %) lie in more than one split" in result.output
    assert "video: by file name (the frame is the last number but 1 of the name" in result.output
    findings = pl.read_parquet(tmp_path / "report/findings.parquet")
    assert findings["kind"].to_list() == ["video_overlap", "adjacent_frames"]


@pytest.mark.parametrize(("rule", "code"), [("near_duplicate", 0), ("adjacent:50%", 1), ("adjacent:5000", 0)])
def test_what_fails_is_a_matter_of_choice(tmp_path: Path, png: Any, rule: str, code: int) -> None:
    rows = pgc_rows(png)
    split_rows(rows)
    assert audited(write(tmp_path / "pgc.parquet", rows), fail_on=rule).exit_code == code
