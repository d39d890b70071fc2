"""A dataset of seven tiny tables, written by hand as the manifest's rules have it."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

CARD = """---
license: {licence}
configs:
- config_name: crops
  data_files:
  - split: train
    path: crops/train-*.parquet
  - split: test
    path: crops/test-*.parquet
- config_name: windows
  data_files:
  - split: train
    path: windows/train-*.parquet
---
# tiny
"""
IPN = {
    "name": "ipn", "dataset": "ipn", "licence": "CC BY 4.0", "licence_url": "https://example.org", "synthetic": False,
}  # fmt: skip


def write_tables(folder: Path, shards: int = 3, first: int = 0) -> None:
    """Crops in some shards of train and one of test, windows in one, and the lock and a ledger."""
    names = [f"crops/train-{n:05d}-of-{shards:05d}.parquet" for n in range(shards)]
    names += ["crops/test-00000-of-00001.parquet", "windows/train-00000-of-00001.parquet"]
    for n, name in enumerate([*names, "splits.parquet", "ledger/crops.parquet"], start=first):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.table({"label": [f"label {n}"] * 4, "n": list(range(4))}), folder / name)


def write_manifest(folder: Path, card_licence: str = "cc-by-4.0", **source: str) -> None:
    """The card and the manifest of the tables there are, `source` in place of what it says of its source."""
    (folder / "README.md").write_text(CARD.format(licence=card_licence))
    paths = [*sorted(folder.rglob("*.parquet")), folder / "README.md"]
    files = [
        {
            "path": path.relative_to(folder).as_posix(),
            "rows": 4 if path.suffix == ".parquet" else None,
            "bytes": path.stat().st_size,
            "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        }
        for path in paths
        if not path.relative_to(folder).parts[0].startswith((".", "cache"))
    ]
    table = {"fingerprint": "f", "vocabulary": "pointing", "sources": [{**IPN, **source}]}
    tables = dict.fromkeys(("crops", "windows"), table)
    (folder / "manifest.json").write_text(json.dumps({"tables": tables, "files": files}))


def write_audit(folder: Path, verdict: str) -> None:
    """An audit of the dataset's tables as they are."""
    files = json.loads((folder / "manifest.json").read_text())["files"]
    seen = [{k: f[k] for k in ("path", "rows", "bytes")} for f in files if f["path"].startswith("crops/")]
    (folder / "audit").mkdir(exist_ok=True)
    (folder / "audit/audit.json").write_text(
        json.dumps({"verdict": verdict, "tables": {"crops": {"files": seen}}})
    )
    (folder / "audit/report.html").write_text("<html>")
    (folder / "audit/class_balance_crops.png").write_bytes(b"PNG")
