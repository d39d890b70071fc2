"""Datasets of Kaggle, through kagglehub.

kagglehub keeps what it gets in a cache of its own, `~/.cache/kagglehub` or KAGGLEHUB_CACHE, where it resumes a stopped
download and which other programs share; its `output_dir` would begin anew every time. So the cache is used, and its
files are linked into the raw folder. Credentials: KAGGLE_API_TOKEN, or KAGGLE_USERNAME and KAGGLE_KEY, or a file below
`~/.kaggle`; public datasets mostly need none.
"""

from __future__ import annotations

import contextlib
import re
import sys
import time
import zipfile
from pathlib import Path

import requests

from pgc_data.downloads import http
from pgc_data.downloads.failures import SourceError
from pgc_data.errors import ConfigError
from pgc_data.storage.files import unwritable

_SLUG = re.compile(r"[\w-]+/[\w-]+(/versions/\d+)?", re.ASCII)
_LOST = (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError)
_LOGIN = (
    "set KAGGLE_USERNAME and KAGGLE_KEY (or KAGGLE_API_TOKEN) from https://www.kaggle.com/settings, and accept the "
    "dataset's terms on its page"
)


def check_slug(slug: str) -> str:
    """Returns `slug` if it has the form OWNER/NAME or OWNER/NAME/versions/N.

    Raises:
        ConfigError: it has not.
    """
    if not _SLUG.fullmatch(slug):
        raise ConfigError(
            f"kaggle-slug={slug!r} is not OWNER/NAME, as in https://www.kaggle.com/datasets/OWNER/NAME"
        )
    return slug


def cache_folder() -> Path:
    """Where kagglehub keeps what it gets."""
    from kagglehub.config import get_cache_folder

    return Path(get_cache_folder())


def fetch_dataset(slug: str, retries: int, again: bool) -> tuple[Path, bool]:
    """Gets a Kaggle dataset into kagglehub's cache.

    Args:
        slug: OWNER/NAME.
        retries: attempts after the first when the connection breaks; kagglehub goes on where it stopped.

        again: whether to get it although it is in the cache.

    Returns:
        Its folder in the cache, and whether it was there before.

    Raises:
        SourceError: why not, and what to do, in a line.
    """
    started = time.time()
    for attempt in range(retries + 1):
        try:
            folder = _call(slug, again)
        except _LOST as error:
            if attempt == retries:
                raise SourceError(
                    f"Kaggle {slug}: the connection to Kaggle failed {retries + 1} times: check the network, "
                    "then run the same command again"
                ) from error
            time.sleep(min(http.BACKOFF_S * 2**attempt, http.BACKOFF_MOST_S))
        else:
            # The modification times may come from the archive.
            return folder, folder.stat().st_ctime < started
    raise AssertionError("unreachable")


def _call(slug: str, again: bool) -> Path:
    # Takes a second to import; and it reads its settings then.
    import kagglehub
    from kagglehub import exceptions

    try:
        # Its notices would spoil `--json`.
        with contextlib.redirect_stdout(sys.stderr):
            return Path(kagglehub.dataset_download(slug, force_download=again))
    except requests.HTTPError as error:
        status = error.response.status_code if error.response is not None else 0
        raise SourceError(f"Kaggle {slug}: {_meaning(slug, status)}") from error
    except (exceptions.UnauthenticatedError, exceptions.CredentialError) as error:
        raise SourceError(f"Kaggle {slug}: no credentials: {_LOGIN}") from error
    except (exceptions.DataCorruptionError, zipfile.BadZipFile) as error:
        raise SourceError(
            f"Kaggle {slug}: what came is damaged: remove {cache_folder() / 'datasets' / slug} and run again"
        ) from error
    except _LOST:
        raise
    except OSError as error:
        raise unwritable(cache_folder(), error) from error
    except (exceptions.KaggleEnvironmentError, exceptions.BackendError, ValueError) as error:
        said = " ".join(str(error).split())[:200]
        raise SourceError(
            f"Kaggle {slug}: {said}; if it goes on, remove {cache_folder() / 'datasets' / slug} and run again"
        ) from error


def _meaning(slug: str, status: int) -> str:
    if status in {401, 403}:
        return f"access refused ({status}): {_LOGIN} https://www.kaggle.com/datasets/{slug}"
    if status == 404:
        return "no such dataset (404): check --kaggle-slug"
    if status == 429:
        return "too many requests (429): run the same command again later"
    return f"Kaggle answers {status}: run the same command again later"
