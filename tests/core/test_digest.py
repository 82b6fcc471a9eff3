"""Digests: the grammar, the algorithms we compute, and nothing but DigestInvalid for the rest."""

from __future__ import annotations

import contextlib
import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.core.digest import HEX_LENGTHS, Digest, new_hasher
from holdfast.core.errors import DigestInvalid

HEX = "0123456789abcdef" * 4


@pytest.mark.parametrize(("algorithm", "length"), [("sha256", 64), ("sha512", 128)])
def test_both_registered_algorithms_are_read_written_and_computed(algorithm: str, length: int) -> None:
    text = f"{algorithm}:{(HEX * 2)[:length]}"
    assert str(Digest.parse(text)) == text
    content = b"content"
    computed = Digest.of(content, algorithm)
    assert computed.hex == hashlib.new(algorithm, content).hexdigest()
    assert Digest.parse(str(computed)) == computed
    assert computed.matches(content)
    assert not computed.matches(content + b"!")


def test_no_content_has_its_digest_too() -> None:
    assert str(Digest.of(b"")) == "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


@pytest.mark.parametrize("content", [b"abc", bytearray(b"abc"), memoryview(b"abc")])
def test_bytes_of_any_kind_hash_alike(content: bytes | bytearray | memoryview) -> None:
    assert Digest.of(content) == Digest.of(b"abc")


@pytest.mark.parametrize(
    "text",
    [
        "",
        ":",
        "sha256",
        "sha256:",
        ":" + HEX,
        HEX,
        f"sha256:{HEX[:-1]}",
        f"sha256:{HEX}0",
        f"sha256:{HEX.upper()}",
        f"SHA256:{HEX}",
        f"Sha256:{HEX}",
        f"sha256:{HEX}\n",
        f"\nsha256:{HEX}",
        f" sha256:{HEX}",
        f"sha256: {HEX[1:]}",
        f"sha256::{HEX[1:]}",
        f"sha256:{HEX[1:]}g",
        f"sha256:{HEX[1:]}\0",
        f"sha256:{HEX[1:]}/",
        f"sha256:{HEX[2:]}..",
        "sha256:" + "\u0663" * 64,
        "sha256:" + "\uff11" * 64,
        f"sha256:0x{HEX[2:]}",
        f"sha256:{HEX[1:]}_",
        f"sha512:{HEX}",
        f"md5:{HEX[:32]}",
        f"sha1:{HEX[:40]}",
        f"sha384:{(HEX * 2)[:96]}",
        f"blake3:{HEX}",
        f"sha256+b64u:{HEX}",
        "sha256:" + "a" * 10_000,
        "a" * 10_000 + ":" + HEX,
        f"../../sha256:{HEX}",
        f"sha256:{HEX[:60]}/../",
        f"sha256:{HEX}:{HEX}",
        f"sha256:{HEX},sha256:{HEX}",
    ],
)
def test_whatever_is_no_digest_of_ours_is_refused(text: str) -> None:
    with pytest.raises(DigestInvalid) as refused:
        Digest.parse(text)
    assert refused.value.message
    assert len(str(refused.value.detail)) < 400


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("nonsense", "malformed"),
        (f"md5:{HEX[:32]}", "'md5' is not supported; use sha256 or sha512"),
        ("sha256:abcd", "exactly 64 lower-case hexadecimal digits"),
        (f"sha512:{HEX}", "exactly 128 lower-case hexadecimal digits"),
    ],
)
def test_a_refusal_says_what_is_wrong(text: str, told: str) -> None:
    with pytest.raises(DigestInvalid, match=told):
        Digest.parse(text)


@pytest.mark.parametrize("algorithm", ["md5", "sha1", "", "SHA256", "sha256 ", "a" * 5_000])
def test_no_other_algorithm_is_computed(algorithm: str) -> None:
    with pytest.raises(DigestInvalid):
        new_hasher(algorithm)


_NEAR = st.builds(
    "{}:{}{}".format,
    st.sampled_from(["sha256", "sha512", "Sha256", ""]),
    st.sampled_from([HEX, HEX * 2, HEX[1:], HEX + "0", HEX.upper()]),
    st.sampled_from(["", "\n", " ", "\0", "g"]),
)


@given(st.text(max_size=40) | _NEAR)
def test_a_parser_raises_only_its_own_error(text: str) -> None:
    with contextlib.suppress(DigestInvalid):
        parsed = Digest.parse(text)
        assert str(parsed) == text
        assert len(parsed.hex) == HEX_LENGTHS[parsed.algorithm]
