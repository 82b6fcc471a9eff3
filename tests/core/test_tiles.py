"""Names and contents of the public files."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.core import tiles
from holdfast.core.tiles import BundleInvalid, Tile, TileReader, encode_number, width_of


@pytest.mark.parametrize(
    ("tile", "path"),
    [
        (Tile(0, 0), "tile/0/000"),
        (Tile(0, 1234067), "tile/0/x001/x234/067"),
        (Tile(None, 999, 17), "tile/entries/999.p/17"),
        (Tile(2, 1000, 255), "tile/2/x001/000.p/255"),
        (Tile(63, 0, 1), "tile/63/000.p/1"),
    ],
)
def test_names_are_as_the_specification_writes_them(tile: Tile, path: str) -> None:
    assert tile.path == path
    assert Tile.parse(path) == tile


@pytest.mark.parametrize(
    "path",
    [
        "tile/0/0",
        "tile/0/0000",
        "tile/00/000",
        "tile/64/000",
        "tile/0/x000/001",
        "tile/0/001/000",
        "tile/0/000.p/0",
        "tile/0/000.p/256",
        "tile/0/000.p/01",
        "tile/-1/000",
        "tile/entries/000/",
        "tile/entries/\N{ARABIC-INDIC DIGIT ONE}00",
        "tile/0/x001/x001/x001/x001/x001/x001/001",
        "checkpoint",
        "",
    ],
)
def test_a_name_has_one_form(path: str) -> None:
    assert Tile.parse(path) is None


@given(st.integers(0, 10**17))
def test_numbers_are_read_as_they_were_written(number: int) -> None:
    assert Tile.parse(f"tile/0/{encode_number(number)}") == Tile(0, number)


@given(st.text(max_size=40))
def test_no_name_breaks_the_reader(path: str) -> None:
    found = Tile.parse(path)
    assert found is None or found.path == path


@given(st.lists(st.binary(max_size=300), max_size=20))
def test_bundles_are_read_as_they_were_written(entries: list[bytes]) -> None:
    assert tiles.split_bundle(tiles.join_bundle(entries)) == entries


@given(st.binary(max_size=200))
def test_a_bundle_raises_only_its_own_error(bundle: bytes) -> None:
    try:
        entries = tiles.split_bundle(bundle)
    except BundleInvalid:
        return
    assert tiles.join_bundle(entries) == bundle


def test_a_bundle_cut_short_is_noticed() -> None:
    whole = tiles.join_bundle([b"one", b"two"])
    for cut in range(1, len(whole)):
        if cut != 5:
            with pytest.raises(BundleInvalid):
                tiles.split_bundle(whole[:cut])


@given(st.integers(0, 200_000), st.integers(0, 200_000))
def test_the_tiles_between_two_sizes_are_those_that_grew(one: int, other: int) -> None:
    after, size = sorted((one, other))
    listed = {(tile.level, tile.number): tile.width for tile in tiles.tiles_of(size, after)}
    for level in range(3):
        for number in {0, 1, (size >> 8 * level) // 256, (after >> 8 * level) // 256}:
            width = width_of(level, number, size)
            assert listed.get((level, number), 0) == (width if width > width_of(level, number, after) else 0)


def test_a_short_tile_is_refused() -> None:
    with pytest.raises(BundleInvalid):
        TileReader(3, lambda _: b"\0" * 64)(0, 2)
    with pytest.raises(BundleInvalid):
        TileReader(2, lambda _: b"\0" * 65)(0, 1)
