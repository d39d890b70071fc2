"""Which of several licences a dataset made of all of them falls under: the strictest."""

from __future__ import annotations

from collections.abc import Iterable

# From the freest to the strictest, with the identifier that the Hugging Face Hub knows.
_ORDER = {
    "CC0-1.0": "cc0-1.0",
    "CC BY 4.0": "cc-by-4.0",
    "CC BY-NC-SA 4.0": "cc-by-nc-sa-4.0",
    "HaGRID licence": "other",
    "Qualcomm Research Use License": "other",
}


def strictest(licences: Iterable[str]) -> str:
    """The strictest of some licences, by short name; one that is not known counts as stricter than all that are.

    Example:
        >>> strictest(["CC BY 4.0", "Qualcomm Research Use License"])
        'Qualcomm Research Use License'
    """
    names = list(_ORDER)
    return max(licences, key=lambda name: (names.index(name) if name in _ORDER else len(names), name))


def hub_identifier(licence: str) -> str:
    """The identifier of a licence on the Hugging Face Hub; `other` where it has none."""
    return _ORDER.get(licence, "other")
