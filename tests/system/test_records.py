"""The data files of the package: read beside their module, checked entry by entry."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import pytest

from genrekit.system.records import read_toml, record


@dataclass(frozen=True)
class Entry:
    name: str
    count: int
    also: tuple[str, ...] = ()
    query: Mapping[str, str] = field(default_factory=dict)
    output: str | None = None
    kind: Literal["near", "far"] = "near"


def test_a_table_fills_a_dataclass():
    assert record(Entry, {"name": "a", "count": 2}, "a") == Entry("a", 2)
    table = {"name": "a", "count": 2, "also": ["b", "c"], "query": {"d": "e"}, "output": "f"}
    assert record(Entry, table, "a") == Entry("a", 2, ("b", "c"), {"d": "e"}, "f")
    assert record(Entry, {"name": "a", "count": 2, "kind": "far"}, "a").kind == "far"


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"name": "a"}, "The entry has no count: its fields are name, count, also"),
        ({"name": "a", "count": 2, "cuont": 2}, "The entry has an unknown field cuont"),
        ({"name": 3, "count": 2}, "The entry: name is 3, not of type str"),
        ({"name": "a", "count": "2"}, "The entry: count is '2', not of type int"),
        ({"name": "a", "count": 2, "also": "b"}, "The entry: also is 'b', not of type tuple"),
        ({"name": "a", "count": 2, "output": 1}, r"output is 1, not of type str \| None"),
        ({"name": "a", "count": 2, "kind": 1}, "The entry: kind is 1, not of type str"),
        ({"name": "a", "count": 2, "query": ["b"]}, "The entry: query is .* not of type Mapping"),
    ],
)
def test_a_mistake_in_a_table_names_its_entry(table, message):
    with pytest.raises(ValueError, match=message):
        record(Entry, table, "The entry")


def test_a_file_is_read_with_its_values(tmp_path):
    (tmp_path / "data.toml").write_text('text = "the {ONE} and “{TWO}”"', encoding="utf-8")
    assert read_toml(str(tmp_path / "data.py"), ONE="first") == {"text": "the first and “{TWO}”"}
