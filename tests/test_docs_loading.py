"""Every Python block of docs/loading.md runs, as it stands, beside a small dataset."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from loaders.tables import write_dataset

from pgc_data.stages import cache

PAGE = Path(__file__).parents[1] / "docs" / "loading.md"
_BLOCK = re.compile(r"(?P<marker><!-- not run: .+? -->\n)?```python\n(?P<code>.*?)```", re.DOTALL)
BLOCKS = [(PAGE.read_text()[: m.start("code")].count("\n") + 1, m) for m in _BLOCK.finditer(PAGE.read_text())]
RUN = [pytest.param(line, m["code"], id=f"line {line}") for line, m in BLOCKS if not m["marker"]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with `data/parquet/demo`: crops, windows and a cache."""
    folder = tmp_path_factory.mktemp("docs")
    root = folder / "data" / "parquet" / "demo"
    for table in ("crops", "windows"):
        write_dataset(root, table, vocabulary="pointing")
    cache.run(cache.CacheConfig(workspace=folder / "data", name="demo"))
    return folder


def test_only_what_cannot_be_installed_is_not_run():
    left_out = [match["code"] for _, match in BLOCKS if match["marker"]]
    assert ["import tensorflow" in code for code in left_out] == [True]
    assert len(RUN) >= 12


@pytest.mark.slow
@pytest.mark.parametrize(("line", "code"), RUN)
@pytest.mark.filterwarnings("ignore")
def test_a_block_runs(folder, monkeypatch, line, code):
    if "import datasets" in code:
        import datasets

        monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", folder / "huggingface")
    monkeypatch.chdir(folder)
    # Empty lines, so that an error names the line of the page.
    exec(compile("\n" * (line - 1) + code, str(PAGE), "exec"), {"__name__": "__main__"})
