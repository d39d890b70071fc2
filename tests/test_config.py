from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from pgc_data.config import Config, from_mapping, option
from pgc_data.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class Example(Config):
    name: str = option(..., "a name")
    count: int = option(3, "a count", minimum=1, maximum=9)
    share: float = option(0.5, "a share", minimum=0.0)
    kinds: tuple[str, ...] = option(("a",), "kinds", choices=("a", "b"))
    file: Path | None = option(None, "a file", recorded=False)
    fast: bool = option(False, "fast")


def test_a_recipe_table_becomes_a_config():
    made = from_mapping(Example, {"name": "x", "share": 1, "kinds": ["b", "a"], "file": "y/z"}, "r.toml")
    assert (made.share, made.kinds, made.file) == (1.0, ("b", "a"), Path("y/z"))
    assert isinstance(made.share, float)


def test_only_what_changes_the_output_is_recorded():
    assert Example(name="x", file=Path("f")).recorded() == {
        "name": "x", "count": 3, "share": 0.5, "kinds": ["a"], "fast": False,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({}, "'name' is missing"),
        ({"name": "x", "cuont": 2}, "unknown key 'cuont'; did you mean 'count'?"),
        ({"name": 3}, "name must be of type str, not 3"),
        ({"name": "x", "count": 0}, "count=0 is too small: the least is 1"),
        ({"name": "x", "count": 10}, "count=10 is too large: the most is 9"),
        ({"name": "x", "count": True}, "count must be of type int, not True"),
        ({"name": "x", "count": 1.5}, "count must be of type int, not 1.5"),
        ({"name": "x", "share": float("nan")}, "share=nan is not a finite number"),
        ({"name": "x", "kinds": "a"}, "kinds must be a list, not 'a'"),
        ({"name": "x", "kinds": ["c"]}, "kinds='c' is not one of a, b"),
        ({"name": "x", "fast": 1}, "fast must be of type bool, not 1"),
    ],
)
def test_a_bad_value_is_named_with_its_place(values, message):
    with pytest.raises(ConfigError) as caught:
        from_mapping(Example, values, "r.toml: [01-x]")
    assert str(caught.value) == f"r.toml: [01-x]: {message}"
