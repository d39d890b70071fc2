"""The Hugging Face Hub: its library, imported when it is needed, and its errors in a line that says what to do."""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from pgc_data.errors import ConfigError, DataError, PgcDataError

if TYPE_CHECKING:
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError

_AGAIN = "what was sent stays: run the same command again to go on"
_LONGEST = 300
# Signatures stand there.
_QUERY = re.compile(r"(?<=\S)\?\S*=[^\s)'\"]*")


def connect() -> HfApi:
    """The Hub's client; its address comes from HF_ENDPOINT, its token from HF_TOKEN or `hf auth login`.

    Raises:
        ConfigError: the package is not installed, or there is no token.
    """
    try:
        import huggingface_hub
    except ImportError as error:
        raise ConfigError(
            "push-to-hub needs the package huggingface_hub: pip install 'pgc-data[hub]'"
        ) from error
    if huggingface_hub.get_token() is None:
        raise ConfigError(
            "no token for the Hub: run `hf auth login`, or set HF_TOKEN to one that may write (settings/tokens on the "
            "Hub's site)"
        )
    return huggingface_hub.HfApi(library_name="pgc-data")


@contextmanager
def quiet() -> Iterator[None]:
    """Keeps the library's own bars and warnings off the terminal: addresses in these may hold signatures."""
    utils = importlib.import_module("huggingface_hub.utils")
    bars, verbosity = not utils.are_progress_bars_disabled(), utils.logging.get_verbosity()
    if bars:
        utils.disable_progress_bars()
    utils.logging.set_verbosity_error()
    try:
        yield
    finally:
        utils.logging.set_verbosity(verbosity)
        if bars:
            utils.enable_progress_bars()


@contextmanager
def explained(repo: str) -> Iterator[None]:
    """Turns what the library raises into errors that say what to do; the token never stands in them.

    Raises:
        DataError: refused, not found, too large, too often, or not reached.
        ConfigError: the Hub has no such names, or HF_HUB_OFFLINE forbids all requests.
    """
    try:
        yield
    except PgcDataError:
        raise
    except Exception as error:
        found = next(filter(None, (_explanation(cause, repo) for cause in _chain(error))), None)
        if found is not None:
            raise found from error
        if isinstance(error, OSError | RuntimeError | ValueError):
            raise DataError(f"{repo}: {_brief(str(error))}; {_AGAIN}") from error
        raise


def _chain(error: BaseException) -> Iterator[BaseException]:
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__


def _explanation(error: BaseException, repo: str) -> PgcDataError | None:
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, OfflineModeIsEnabled

    if isinstance(error, HfHubHTTPError):
        return DataError(f"{repo}: {_answer(error)}")
    if isinstance(error, ValueError) and "Invalid metadata in README.md" in str(error):
        return DataError(f"{repo}: the Hub does not accept the card: {_brief(str(error))}")
    if isinstance(error, HFValidationError):
        return ConfigError(f"--repo {repo} or --revision cannot be on the Hub: {_brief(str(error))}")
    if isinstance(error, OfflineModeIsEnabled):
        return ConfigError("HF_HUB_OFFLINE is set, so that nothing can be sent: unset it")
    # The library has used httpx and httpx2, and names neither among its own errors.
    if type(error).__module__.partition(".")[0] in ("httpx", "httpx2") or isinstance(error, ConnectionError):
        return DataError(
            f"the Hub cannot be reached ({type(error).__name__}): check the network and HF_ENDPOINT; {_AGAIN}"
        )
    return None


def _answer(error: HfHubHTTPError) -> str:
    status = error.response.status_code
    said = _brief(error.server_message or "")
    what = {
        401: "the Hub does not accept the token, or does not show this repository to it: log in again (`hf auth "
             "login`), or mend HF_TOKEN",
        402: "the Hub asks for a paid plan: free some storage of the account, or choose another",
        403: "the token may not write here: make one that may, or name a repository of your own",
        404: "no such repository or branch, or not for this token: check --repo and --revision",
        409: f"somebody else is changing it; {_AGAIN}",
        412: f"somebody else changed it meanwhile; {_AGAIN}",
        413: "too large for the Hub or for the storage of the account",
        429: f"too many requests, or the storage of the account is used up: wait; {_AGAIN}",
    }.get(status)  # fmt: skip
    if what is None:
        what = f"the Hub failed; {_AGAIN}" if status >= 500 else "the Hub refuses"
    return f"{what} (status {status}{': ' + said if said else ''})"


def _brief(text: str) -> str:
    """A message in one line, without what addresses carry, cut where it is very long."""
    line = _QUERY.sub("", " ".join(text.split()))
    return line if len(line) <= _LONGEST else f"{line[:_LONGEST]}..."
