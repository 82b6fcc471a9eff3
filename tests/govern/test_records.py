"""Inventories and histories as files: what was written is read back, and nothing that is wrong is taken for right."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.govern import estate, events
from holdfast.govern.documents import DocumentInvalid
from holdfast.govern.estate import Failure, Inventory, RegistryRecord, RepositoryRecord

AT = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
moments = st.datetimes(datetime(2015, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - the zone beside
text = st.text(st.characters(exclude_categories=["Cs"]))


inventories = st.builds(
    Inventory,
    moments,
    st.lists(st.builds(RegistryRecord), max_size=3).map(tuple),
    st.lists(st.builds(RepositoryRecord), max_size=3).map(tuple),
    st.lists(st.builds(Failure), max_size=3).map(tuple),
    st.booleans(),
)

st.register_type_strategy(datetime, moments)


@given(inventories)
@settings(max_examples=60, deadline=None)
def test_an_inventory_comes_back_as_it_was_written(inventory: Inventory) -> None:
    assert estate.read_inventory(estate.write_inventory(inventory)) == inventory


@given(st.builds(events.Event) | st.builds(events.Skipped) | st.builds(events.Head) | st.builds(events.End))
@settings(max_examples=100, deadline=None)
def test_a_line_of_a_history_comes_back_as_it_was_written(line: events.Line) -> None:
    written = events.write_line(line)
    assert written.endswith(b"\n")
    assert written.count(b"\n") == 1
    if not isinstance(line, events.Head) or line.version == events.VERSION:
        assert events.read_line(written) == line


@given(st.binary(max_size=80) | st.recursive(st.none() | text, lambda x: st.lists(x) | st.dictionaries(text, x)))
@settings(max_examples=200, deadline=None)
def test_whatever_is_no_record_raises_its_own_error(content: object) -> None:
    line = content if isinstance(content, bytes) else json.dumps(content)
    for read in (estate.read_line, events.read_line):
        with pytest.raises(DocumentInvalid):
            read(line)


REPOSITORY = RepositoryRecord("111122223333", "eu-central-1", "demo/app", "arn", "uri", AT)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"mode": "IMMUTABEL"}, "mode"),
        ({"created_at": "2026-03-01T12:00:00"}, "created_at"),
        ({"filters": ["a", 1]}, "filters[1]"),
        ({"name": None}, "name"),
        ({"record": "repositry"}, "repositry"),
    ],
)
def test_what_is_wrong_is_named(change: dict[str, object], told: str) -> None:
    document = json.loads(estate.write_line(REPOSITORY))
    with pytest.raises(DocumentInvalid, match=told.replace("[", r"\[")):
        estate.read_line(json.dumps({**document, **change}))


def test_a_member_that_is_not_known_is_passed_over() -> None:
    document = json.loads(estate.write_line(REPOSITORY))
    assert estate.read_line(json.dumps({**document, "of_a_later_version": 1})) == REPOSITORY


def test_a_file_that_was_cut_off_is_not_finished() -> None:
    lines = list(estate.write_inventory(Inventory(AT, (), (REPOSITORY,))))
    assert estate.read_inventory(lines).is_complete
    assert not estate.read_inventory(lines[:-1]).is_finished
    with pytest.raises(DocumentInvalid, match="there are"):
        estate.read_inventory([lines[0], lines[-1]])
    with pytest.raises(DocumentInvalid, match="line 2"):
        estate.read_inventory([lines[0], lines[1][:40]])
    with pytest.raises(DocumentInvalid, match="begins with"):
        estate.read_inventory(lines[1:])
    with pytest.raises(DocumentInvalid, match="empty"):
        estate.read_inventory([])
    with pytest.raises(DocumentInvalid, match="version 2"):
        estate.read_line(lines[0].replace(b'"version":1', b'"version":2'))
