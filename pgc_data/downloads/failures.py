"""A source that failed: the next one may do."""

from __future__ import annotations

from pgc_data.errors import DataError


class SourceError(DataError):
    """A source could not give a file; the message says why, and the next source is tried."""


class NotFoundError(SourceError):
    """The server has no such file; another name of it is tried."""


class ArchiveError(SourceError):
    """An archive is damaged or holds something that is refused."""
