"""Signing under immutability: a signature tag may grow and do nothing else, and nobody's signature is lost."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from holding import (
    held_answer,
    history,
    record,
    tag_request,
)
from images import (
    OCI_CONFIG,
    OCI_IMAGE,
    Image,
    descriptor,
    digest_of,
    image,
    index,
    push,
    push_parts,
    put,
)
from volley import volley

if TYPE_CHECKING:
    from held_ground import WatchedClient
    from running import RunningServer


def signature(*names: str, **more: Any) -> Image:
    """Make what cosign keeps behind a `.sig` tag: one layer a signature, told apart by its annotation."""
    layers = [
        descriptor(b"payload", "application/vnd.dev.cosign.simplesigning.v1+json",
                   annotations={"dev.cosignproject.cosign/signature": name})
        for name in names
    ]  # fmt: skip
    config = json.dumps({"signed": list(names)}).encode()
    document = {
        "schemaVersion": 2,
        "mediaType": OCI_IMAGE,
        "config": descriptor(config, OCI_CONFIG),
        "layers": layers,
        **more,
    }
    return Image(json.dumps(document).encode(), OCI_IMAGE, (config, b"payload"))


@pytest.mark.parametrize("ending", [".sig", ".att", ".sbom", ""])
def test_a_signature_tag_may_grow_and_nothing_else_under_immutability(
    server: RunningServer, oci: WatchedClient, held: str, ending: str
) -> None:
    subject = image()
    push(oci, held, "v1", subject)
    tag = subject.digest.replace(":", "-") + ending
    one, two, three = signature("a"), signature("a", "b"), signature("b", "a", "c")
    assert push(oci, held, tag, one).status == 201
    assert push(oci, held, tag, two).status == 201
    assert push(oci, held, tag, three).status == 201
    for dropped in (one, two, signature("a", "b"), signature("c"), signature(), signature("a", "b", "d")):
        detail = held_answer(push(oci, held, tag, dropped), tag, held)
        assert detail["rule"] == "append-only"
        assert "may only grow" in detail["reason"]
        assert digest_of(oci, held, tag) == three.digest
    forged = json.loads(three.manifest)
    forged["layers"][0]["annotations"]["dev.cosignproject.cosign/signature"] = "forged"
    held_answer(push(oci, held, tag, Image(json.dumps(forged).encode(), OCI_IMAGE, three.blobs)), tag, held)
    assert history(server, held, tag) == [(one.digest, "appended"), (two.digest, "appended"), (three.digest, None)]
    moved = [body for kind, body in record(server, held, tag) if kind == "tag-moved"]
    assert [(body["before"], body["digest"], body["rule"]) for body in moved] == [
        (one.digest, two.digest, "append-only"),
        (two.digest, three.digest, "append-only"),
    ]


def test_the_referrers_fallback_index_may_grow(oci: WatchedClient, held: str) -> None:
    subject = image()
    push(oci, held, "v1", subject)
    tag = subject.digest.replace(":", "-")
    signatures = [image(subject=subject.descriptor) for _ in range(3)]
    for one in signatures:
        push_parts(oci, held, one)
        assert put(oci, held, one.digest, one).status == 201
    for count in (1, 2, 3):
        grown = index(*signatures[:count])
        assert put(oci, held, tag, grown).status == 201
        assert digest_of(oci, held, tag) == grown.digest
    assert held_answer(put(oci, held, tag, index(*signatures[1:])), tag, held)["rule"] == "append-only"
    assert held_answer(put(oci, held, tag, signatures[0]), tag, held)["rule"] == "append-only"


def test_many_signers_at_once_lose_no_signature(server: RunningServer, oci: WatchedClient, held: str) -> None:
    tag = "sha256-" + "a" * 64 + ".sig"
    push(oci, held, tag, signature("first"))
    rivals = [signature("first", f"s{number}") for number in range(20)]
    for one in rivals:
        push_parts(oci, held, one)
    answers = volley(server, [tag_request(held, tag, one) for one in rivals])
    assert [answer.status for answer in answers].count(201) == 1
    assert {answer.status for answer in answers} == {201, 409}
    assert len(history(server, held, tag)) == 2


def test_a_name_that_only_resembles_a_signature_tag_does_not_grow(oci: WatchedClient, held: str) -> None:
    one, two = signature("a"), signature("a", "b")
    for tag in ("sha256-abc.sig", "v1.sig", "sha256-" + "a" * 63 + ".sig", "sha256-" + "A" * 64):
        assert push(oci, held, tag, one).status == 201
        assert held_answer(push(oci, held, tag, two), tag, held)["rule"] == "held"


def test_signing_by_referrers_needs_no_tag(oci: WatchedClient, held: str) -> None:
    subject = image()
    push(oci, held, "v1", subject)
    for number in range(3):
        signed = image(subject=subject.descriptor, artifactType="application/x.sig", annotations={"n": str(number)})
        push_parts(oci, held, signed)
        assert put(oci, held, signed.digest, signed).status == 201
    found = oci("GET", f"/v2/{held}/referrers/{subject.digest}").json()["manifests"]
    assert len(found) == 3
    assert digest_of(oci, held, "v1") == subject.digest
