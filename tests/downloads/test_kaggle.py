"""Real kagglehub against a stand-in of the Kaggle API on this machine."""

from __future__ import annotations

import pytest
from downloads.download_servers import KaggleServer, noise, running, zip_of
from kagglesdk import kaggle_env

from pgc_data.downloads import kaggle
from pgc_data.downloads.failures import SourceError
from pgc_data.errors import ConfigError

SLUG = "gti-upm/leapgestrecog"
FILES = {f"leapGestRecog/00/01_palm/frame_00_01_{n:04}.png": noise(2000, n) for n in range(50)}


@pytest.fixture
def hub(monkeypatch, tmp_path):
    """The stand-in, with credentials and a cache of its own. kagglehub knows its hosts by name only."""
    for name in ("KAGGLE_API_TOKEN", "KAGGLE_API_ENVIRONMENT", "KAGGLE_KERNEL_RUN_TYPE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("KAGGLEHUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("KAGGLE_USERNAME", "somebody")
    monkeypatch.setenv("KAGGLE_KEY", "secret")
    with running(KaggleServer()) as server:
        monkeypatch.setitem(kaggle_env._env_to_endpoint, kaggle_env.KaggleEnv.PROD, server.url)
        server.datasets[SLUG] = zip_of(FILES)
        yield server


def test_a_dataset_comes_into_the_cache_once(hub, tmp_path):
    folder, cached = kaggle.fetch_dataset(SLUG, 1, False)
    assert not cached
    assert folder == tmp_path / "cache" / "datasets" / SLUG / "versions" / "3"
    assert all((folder / name).read_bytes() == content for name, content in FILES.items())
    sent = hub.sent[f"/store/{SLUG}.zip"]
    assert kaggle.fetch_dataset(SLUG, 1, False) == (folder, True)
    assert hub.sent[f"/store/{SLUG}.zip"] == sent == len(hub.datasets[SLUG])
    assert any(headers.get("Authorization", "").startswith("Basic") for _, _, headers in hub.requests)


def test_a_cut_connection_is_resumed(hub):
    hub.script[f"/store/{SLUG}.zip"] = [("cut", 60_000)]
    folder, _ = kaggle.fetch_dataset(SLUG, 3, False)
    assert (folder / next(iter(FILES))).is_file()
    assert any("Range" in headers for _, _, headers in hub.requests)


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (401, "access refused .401.: set KAGGLE_USERNAME and KAGGLE_KEY"),
        (403, "access refused .403.: .* accept the dataset's terms on its page"),
        (404, "no such dataset .404.: check --kaggle-slug"),
        (429, "too many requests"),
        (500, "Kaggle answers 500"),
    ],
)
def test_a_refusal_says_in_a_line_what_to_do(hub, status, message):
    hub.refuse[SLUG] = status
    with pytest.raises(SourceError, match=message) as caught:
        kaggle.fetch_dataset(SLUG, 0, False)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_no_archive_is_told(hub):
    hub.datasets[SLUG] = b"<html>sorry</html>"
    with pytest.raises(SourceError, match=r"Unsupported archive type.*remove .*leapgestrecog"):
        kaggle.fetch_dataset(SLUG, 0, False)


def test_a_lost_connection_is_told(hub, monkeypatch):
    monkeypatch.setitem(kaggle_env._env_to_endpoint, kaggle_env.KaggleEnv.PROD, "http://127.0.0.1:9")
    with pytest.raises(SourceError, match="failed 2 times: check the network"):
        kaggle.fetch_dataset(SLUG, 1, False)


@pytest.mark.parametrize("slug", ["leap", "a/b/c", "../x", "https://www.kaggle.com/datasets/a/b"])
def test_a_slug_of_another_form_is_refused(slug):
    with pytest.raises(ConfigError, match="is not OWNER/NAME"):
        kaggle.check_slug(slug)
