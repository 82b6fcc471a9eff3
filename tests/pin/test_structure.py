"""The tree of a changed file is the same but for digests, and the check of that can fail."""

from __future__ import annotations

import pytest

from holdfast.pin import structure
from holdfast.pin.files import mentions
from holdfast.pin.rewrite import Wish, rewrite
from holdfast.pin.structure import difference

D = "sha256:" + "a" * 64
E = "sha256:" + "b" * 64


@pytest.mark.parametrize(
    ("path", "before", "after"),
    [
        ("a.yaml", "image: a:1 # x", f"image: a:1@{D} # x"),
        ("a.yaml", f"image: a:1@{D}", f"image: a:1@{E}"),
        ("a.yaml", "image: {tag: v1}", f"image: {{tag: v1, digest: {D}}}"),
        ("a.yaml", "image:\n  tag: v1\n", f"image:\n  tag: v1\n  digest: {D}\n"),
        ("a.yaml", f"image:\n  digest: {D}\n  tag: v1\n", "image:\n  tag: v1\n"),
        ("a.yaml", "a: &x {image: b:1}\nc: *x", f"a: &x {{image: b:1@{D}}}\nc: *x"),
        ("a.yaml", "{{ if .Values.x }}\nimage: a\n{{ end }}", "anything"),
        ("a.json", '{"image": "a:1", "n": 1}', f'{{"image": "a:1@{D}", "n": 1}}'),
        ("Dockerfile", "FROM a", "FROM b"),
    ],
)
def test_digests_may_come_and_go(path: str, before: str, after: str) -> None:
    assert difference(path, before.encode(), after.encode()) is None


@pytest.mark.parametrize(
    ("path", "before", "after"),
    [
        ("a.yaml", "image: a:1\nb: 1", "image: a:1\nb: 2"),
        ("a.yaml", "image: a:1", f"image: a:1@{D}\nmore: x"),
        ("a.yaml", "image: a:1", f"image: [a:1@{D}]"),
        ("a.yaml", "image: a:1", f"image: 'a:1@{D}'"),
        ("a.yaml", "a: &x {image: b:1}\nc: *x", f"a: &y {{image: b:1@{D}}}\nc: *y"),
        ("a.yaml", "image: a:1", f"image: a:1@{D}: b: {{"),
        ("a.yaml", "image: a", "image: b"),
        ("a.json", '{"image": "a:1"}', f'{{"image": "a:1@{D}", "n": 1}}'),
        ("a.json", '{"image": "a:1", "n": 1}', f'{{"image": "a:1@{D}", "n": true}}'),
        ("a.json", '{"image": "a:1"}', f'{{"image": "a:1@{D}"'),
    ],
)
def test_nothing_else_may(path: str, before: str, after: str) -> None:
    assert difference(path, before.encode(), after.encode()) is not None


def test_an_edit_that_harms_the_tree_is_not_done(monkeypatch: pytest.MonkeyPatch) -> None:
    data = b"services:\n  web:\n    image: nginx:1\n"
    found = mentions("compose.yaml", data)
    assert isinstance(found, list)
    monkeypatch.setattr(structure, "difference", lambda *_given: "line 3 would mean something else")
    made = rewrite("compose.yaml", data, [Wish(found[0], D)])
    assert (made.after, made.refused[0][1]) == (data, "line 3 would mean something else")
