"""Loaders: shuffled 32x32 batches of the same crops, by what people use and by pgc-data; images a second.

python tests/bench/bench_loaders.py [--rows 40000] [--only WORD]

Writes crops of 60 to 120 pixels, 5 to 6 KB each as those cut from IPN's videos, as one Parquet file in row groups of
1,000, as loose PNG files and as WebDataset shards. Each case reads them in a process of its own, with two workers, at
least once and for a second. CPU-seconds are of one pass, of all processes, set-up excluded; peaks are of the main
process and of its largest worker.
"""

from __future__ import annotations

import argparse
import io
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np

BATCH, SIDE, WORKERS = 256, 32, 2
FILE = "bench/crops/train-00000-of-00001.parquet"
SHARDS, PICTURES = 8, 2000
ALL = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=40_000)
    parser.add_argument("--only", default="", help="cases whose name has this word in it, and the baseline")
    parser.add_argument("--case", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.case:
        done = measured if given.case in CASES else write
        print(json.dumps(done(given.case, given.folder, given.rows)))
        return
    with tempfile.TemporaryDirectory(prefix="pgc-bench-") as folder:
        size = in_process("write", folder, given.rows)
        print(f"{given.rows:,} crops of {size:,.0f} bytes, {WORKERS} workers, batches of {BATCH}")
        print(f"{'':<32}images/s  ratio  CPU-s  peak MB (worker)")
        base = None
        for name in CASES:
            if given.only in name or name == BASELINE:
                rate, *others = in_process(name, folder, given.rows)
                base = base or rate
                numbers = "{:>5.2f}  {:,.0f} ({:,.0f})".format(*others)
                print(f"{name:<32}{rate:>8,.0f} {rate / base:>5.1f}x  {numbers}", flush=True)


def in_process(case: str, folder: str, rows: int) -> Any:
    command = [sys.executable, __file__, "--case", case, "--folder", folder, "--rows", str(rows)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def write(_: str, folder: Path, rows: int) -> float:
    """The same crops in every form; row groups are of one class, as to-parquet writes them. Returns their mean size."""
    import webdataset as wds

    from pgc_data.loaders.cache import cache_folder, write_cache
    from pgc_data.loaders.dataset import load

    rng = np.random.default_rng(0)
    drawn = [picture(rng) for _ in range(PICTURES)]
    pictures = [drawn[n] for n in rng.integers(PICTURES, size=rows)]
    for inside in ("bench/crops", "loose"):
        (folder / inside).mkdir(parents=True)
    write_parquet(folder / FILE, pictures)
    for number, data in enumerate(pictures):
        (folder / "loose" / f"{number:07d}.png").write_bytes(data)
    # WebDataset mixes only within its buffer: its shards have to hold mixed rows.
    for shard, numbers in enumerate(np.array_split(rng.permutation(rows), SHARDS)):
        with wds.TarWriter(str(folder / f"shard-{shard}.tar")) as tar:
            for n in numbers.tolist():
                tar.write({"__key__": f"{n:07d}", "png": pictures[n], "cls": class_of(n)})
    table = load(folder / "bench").source
    write_cache(cache_folder(folder / "bench", (SIDE, SIDE)), table, (SIDE, SIDE), 2, lambda rows: None)
    return float(np.mean([len(data) for data in pictures]))


def picture(rng: np.random.Generator) -> bytes:
    import cv2

    from pgc_data.hands.crops import encode_png

    height, width = map(int, rng.integers(60, 121, 2))
    soft = cv2.resize(rng.normal(128, 8, (5, 5, 3)), (width, height), interpolation=cv2.INTER_CUBIC)
    return encode_png(np.clip(soft + rng.normal(0, 0.1, soft.shape), 0, 255).astype(np.uint8))


def write_parquet(path: Path, pictures: list[bytes]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    from pgc_data.storage.schemas import arrow_schema, with_metadata

    facts = {"classes": ["not_pointing", "pointing"], "fingerprint": "bench"}
    schema = with_metadata(arrow_schema("crops"), "crops", facts, {"class_id": tuple(facts["classes"])})
    common = {
        "split": "train", "label": "pointing", "source": "ipn", "dataset": "ipn", "sample_id": "a", "group_id": "a",
        "frame": 1, "hand_index": 0, "score": 0.9, "box": [0.0] * 4, "width": 90, "height": 90, "phash": "0" * 16,
        "licence": "CC0-1.0", "image_path": "",
    }  # fmt: skip
    with pq.ParquetWriter(path, schema, compression="none", use_dictionary=["split", "label"]) as writer:
        for start in range(0, len(pictures), 1000):
            images = [{"bytes": data, "path": ""} for data in pictures[start : start + 1000]]
            rows = [{**common, "image": image, "class_id": class_of(start)} for image in images]
            writer.write_table(pa.Table.from_pylist(rows, schema))


def class_of(row: int) -> int:
    return row // 1000 % 2


def measured(case: str, folder: Path, rows: int) -> list[float]:
    batches = CASES[case](folder)
    passes, cpu, start = 0, cpu_seconds(), time.perf_counter()
    while not passes or time.perf_counter() - start < 1:
        count = sum(len(batch["class_id"] if isinstance(batch, dict) else batch[1]) for batch in batches)
        assert count == rows, f"{count} of {rows} images came"
        passes += 1
    seconds, cpu = time.perf_counter() - start, cpu_seconds() - cpu
    return [rows * passes / seconds, cpu / passes, *(resource.getrusage(who).ru_maxrss / 1024 for who in ALL)]


def cpu_seconds() -> float:
    return sum(used.ru_utime + used.ru_stime for used in map(resource.getrusage, ALL))


def in_loader(data: Any, **options: Any) -> Iterable[Any]:
    from torch.utils.data import DataLoader

    return DataLoader(data, **{"batch_size": BATCH, "num_workers": WORKERS, **options})


def tensor(image: Any) -> Any:
    """An image of PIL, or its bytes, as a (3, 32, 32) uint8 tensor."""
    import torch
    from PIL import Image

    image = Image.open(io.BytesIO(image)) if isinstance(image, bytes) else image
    return torch.from_numpy(np.array(image.convert("RGB").resize((SIDE, SIDE)))).permute(2, 0, 1)


def transformed(rows: dict[str, list[Any]]) -> dict[str, list[Any]]:
    return {"image": [tensor(image) for image in rows["image"]], "class_id": rows["class_id"]}


def hugging_face(folder: Path, streaming: bool = False) -> Iterable[Any]:
    import datasets

    datasets.disable_progress_bars()
    files = {"data_files": {"train": str(folder / FILE)}, "cache_dir": str(folder / "huggingface")}
    data = datasets.load_dataset("parquet", **files, split="train", streaming=streaming)
    data = data.select_columns(["image", "class_id"])
    if streaming:
        data = data.reshard().shuffle(seed=0, buffer_size=10_000)
        return in_loader(data.map(transformed, batched=True, batch_size=BATCH))
    return in_loader(data.with_transform(transformed), shuffle=True)


class Listed:
    """A map-style data set of (image, class): `read(row)` gives the image's bytes."""

    def __init__(self, rows: int, read: Callable[[int], bytes]) -> None:
        self.rows, self.read = rows, read

    def __len__(self) -> int:
        return self.rows

    def __getitem__(self, row: int) -> tuple[Any, int]:
        return tensor(self.read(row)), class_of(row)


def loose_files(folder: Path) -> Iterable[Any]:
    paths = sorted((folder / "loose").iterdir())
    return in_loader(Listed(len(paths), lambda row: paths[row].read_bytes()), shuffle=True)


def pandas_frame(folder: Path) -> Iterable[Any]:
    import pandas as pd

    images = pd.read_parquet(folder / FILE, columns=["image"])["image"]
    return in_loader(Listed(len(images), lambda row: images.iloc[row]["bytes"]), shuffle=True)


def web_dataset(folder: Path) -> Iterable[Any]:
    import webdataset as wds

    shards = str(folder / f"shard-{{0..{SHARDS - 1}}}.tar")
    data = wds.WebDataset(shards, shardshuffle=SHARDS, seed=0).shuffle(10_000).decode("pil")
    return in_loader(data.to_tuple("png", "cls").map_tuple(tensor, int))


def row_groups(folder: Path) -> Iterable[Any]:
    """What one writes by hand: each worker takes every other row group, and shuffles within it."""
    import pyarrow.parquet as pq
    from torch.utils.data import IterableDataset, get_worker_info

    class RowGroups(IterableDataset):  # type: ignore[type-arg]
        def __iter__(self) -> Any:
            file, rng = pq.ParquetFile(folder / FILE), np.random.default_rng(0)
            for group in rng.permutation(file.num_row_groups)[get_worker_info().id :: WORKERS].tolist():
                table = file.read_row_group(group, columns=["image.bytes", "class_id"])
                images, classes = table["image"].to_pylist(), table["class_id"].to_pylist()
                for row in rng.permutation(len(classes)).tolist():
                    yield tensor(images[row]["bytes"]), classes[row]

    return in_loader(RowGroups())


def ours(folder: Path, workers: int = 0, **options: Any) -> Iterable[Any]:
    import pgc_data

    train = pgc_data.load(folder / "bench").split("train")
    batches = train.torch(BATCH, size=(SIDE, SIDE), shuffle=True, **options)
    if options.get("map_style"):
        return in_loader(batches, batch_size=1, batch_sampler=batches.batch_sampler(), num_workers=workers)
    return batches.loader(workers)


BASELINE = "HF datasets, map-style"
CASES: dict[str, Callable[[Path], Iterable[Any]]] = {
    BASELINE: hugging_face,
    "HF datasets, streaming": lambda folder: hugging_face(folder, streaming=True),
    "WebDataset": web_dataset,
    "loose PNG files": loose_files,
    "pandas, whole file in memory": pandas_frame,
    "pyarrow, row groups by hand": row_groups,
    "pgc-data, 2 threads": lambda folder: ours(folder, threads=2),
    "pgc-data, 2 workers": lambda folder: ours(folder, WORKERS),
    "pgc-data, map-style, 2 workers": lambda folder: ours(folder, WORKERS, map_style=True),
    "pgc-data, cache": lambda folder: ours(folder, cached=True),
    "pgc-data, cache, 2 workers": lambda folder: ours(folder, WORKERS, cached=True),
    "pgc-data, cache, map-style": lambda folder: ours(folder, map_style=True, cached=True),
}

if __name__ == "__main__":
    main()
