"""Tables: the quick way of writing them looks like the one that folds."""

from __future__ import annotations

import contextlib
import io
from typing import TYPE_CHECKING
from unittest import mock

from hypothesis import given
from hypothesis import strategies as st

from holdfast.cli import output
from holdfast.cli.output import Output

if TYPE_CHECKING:
    from collections.abc import Sequence

CELLS = st.text(max_size=12) | st.sampled_from(("", " ", "ab", "日本", "é", "👩‍🚀"))


def written(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    with contextlib.redirect_stdout(io.StringIO()) as out:
        Output(as_json=False).table({}, columns, rows, "none")
    return out.getvalue()


@given(st.lists(st.tuples(CELLS, CELLS, CELLS), min_size=1, max_size=8))
def test_a_table_looks_the_same_however_it_is_written(rows: list[tuple[str, str, str]]) -> None:
    columns = ("NAME", "MODE", "SINCE")
    quick = written(columns, rows)
    with mock.patch.object(output, "_in_columns", return_value=None):
        assert quick == written(columns, rows)
