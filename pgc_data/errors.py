"""The errors a user meets: each message says what was wrong, with which value, where, and what to do."""


class PgcDataError(Exception):
    """Anything the command line reports without a traceback."""

    exit_code = 1


class DataError(PgcDataError):
    """The data, a file or the machine failed: exit status 1."""


class ConfigError(PgcDataError):
    """The call was wrong (a flag, a recipe key, a value out of range): exit status 2."""

    exit_code = 2
