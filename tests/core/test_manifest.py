"""Manifests: what is one, what it refers to, and only ManifestInvalid or ManifestTooLarge for the rest."""

from __future__ import annotations

import base64
import contextlib
import json
import time
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.core import manifest as manifests
from holdfast.core.digest import Digest
from holdfast.core.errors import ManifestInvalid, ManifestTooLarge
from holdfast.core.manifest import (
    DOCKER_IMAGE,
    DOCKER_LIST,
    KINDS,
    MAX_BYTES,
    MAX_DESCRIPTORS,
    OCI_ARTIFACT,
    OCI_IMAGE,
    OCI_INDEX,
    Kind,
    Manifest,
    parse,
)

if TYPE_CHECKING:
    from collections.abc import Callable

CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
Document = dict[str, Any]


def descriptor(content: bytes = b"layer", media_type: str = LAYER, /, **more: Any) -> Document:
    return {"mediaType": media_type, "digest": str(Digest.of(content)), "size": len(content), **more}


def image(**more: Any) -> Document:
    return {
        "schemaVersion": 2,
        "mediaType": OCI_IMAGE,
        "config": descriptor(b"{}", CONFIG),
        "layers": [descriptor()],
        **more,
    }


def index(**more: Any) -> Document:
    return {
        "schemaVersion": 2,
        "mediaType": OCI_INDEX,
        "manifests": [descriptor(b"child", OCI_IMAGE, platform={"os": "linux", "architecture": "amd64"})],
        **more,
    }


def artifact(**more: Any) -> Document:
    return {"mediaType": OCI_ARTIFACT, "artifactType": "application/x.sbom", "blobs": [descriptor()], **more}


def read(document: object, content_type: str | None = None) -> Manifest:
    return parse(json.dumps(document).encode(), content_type)


def refusal(payload: bytes | Document, content_type: str | None = None) -> str:
    """Return the message with which a manifest is refused."""
    content = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    with pytest.raises(ManifestInvalid) as refused:
        parse(content, content_type)
    return refused.value.message


# --- what is a manifest ----------------------------------------------------------------------------------------------


def test_an_image_names_its_config_and_layers() -> None:
    found = read(image(annotations={"a": "b"}))
    assert (found.kind, found.media_type) == (Kind.IMAGE, OCI_IMAGE)
    assert found.config is not None
    assert found.config.media_type == CONFIG
    assert [one.digest for one in found.blobs] == [Digest.of(b"{}"), Digest.of(b"layer")]
    assert found.layers[0].size_bytes == 5
    assert (found.children, found.subject, found.artifact_type) == ((), None, None)
    assert found.annotations == {"a": "b"}


def test_an_index_names_its_children_and_no_blobs() -> None:
    found = read(index())
    assert found.kind is Kind.INDEX
    assert [one.digest for one in found.children] == [Digest.of(b"child")]
    assert found.blobs == ()
    assert found.children[0].document["platform"] == {"os": "linux", "architecture": "amd64"}


def test_an_artifact_manifest_names_its_blobs() -> None:
    found = read(artifact(subject=descriptor(b"image", OCI_IMAGE)))
    assert found.kind is Kind.ARTIFACT
    assert [one.digest for one in found.blobs] == [Digest.of(b"layer")]
    assert found.subject is not None
    assert found.subject.digest == Digest.of(b"image")


@pytest.mark.parametrize(("media_type", "kind"), list(KINDS.items()))
def test_every_kind_is_told_by_its_media_type(media_type: str, kind: Kind) -> None:
    document = {Kind.IMAGE: image, Kind.INDEX: index, Kind.ARTIFACT: artifact}[kind](mediaType=media_type)
    assert read(document, media_type).kind is kind
    assert read(document).media_type == media_type
    del document["mediaType"]
    assert read(document, media_type).media_type == media_type


@pytest.mark.parametrize(
    "content_type",
    [
        OCI_IMAGE,
        f"{OCI_IMAGE}; charset=utf-8",
        f"{OCI_IMAGE};charset=utf-8;q=1",
        f" {OCI_IMAGE} ",
        OCI_IMAGE.upper(),
        None,
        "",
        ";",
    ],
)
def test_parameters_and_case_of_the_content_type_do_not_matter(content_type: str | None) -> None:
    assert read(image(), content_type).media_type == OCI_IMAGE


def test_the_bytes_are_kept_exactly_and_decide_the_digest() -> None:
    tight = json.dumps(image(), separators=(",", ":")).encode()
    loose = json.dumps(image(), indent=4).encode() + b"\n\n"
    for payload in (tight, loose):
        found = parse(payload, OCI_IMAGE)
        assert found.payload == payload
        assert found.digest == Digest.of(payload)
    assert parse(tight, None).digest != parse(loose, None).digest
    assert parse(tight, None).layers == parse(loose, None).layers


def test_the_digest_is_of_the_algorithm_asked_for() -> None:
    payload = json.dumps(image()).encode()
    assert parse(payload, None, algorithm="sha512").digest == Digest.of(payload, "sha512")


def test_descriptors_may_be_of_either_algorithm() -> None:
    found = read(image(layers=[descriptor(digest=str(Digest.of(b"layer", "sha512")))]))
    assert found.layers[0].digest.algorithm == "sha512"


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        (image(), CONFIG),
        (image(artifactType="application/x.signature"), "application/x.signature"),
        (image(artifactType=""), CONFIG),
        (index(), None),
        (index(artifactType="application/x.set"), "application/x.set"),
        (artifact(), "application/x.sbom"),
    ],
)
def test_the_type_among_referrers_is_the_artifact_type_or_else_the_configs(
    document: Document, expected: str | None
) -> None:
    assert read(document).referrer_type == expected


@pytest.mark.parametrize(
    "layer",
    [
        descriptor(b"layer", "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip"),
        descriptor(b"layer", "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"),
        descriptor(urls=["http://169.254.169.254/latest/meta-data"]),
        descriptor(urls=["file:///etc/passwd", "gopher://x", "not a url at all"]),
    ],
)
def test_layers_that_may_lie_elsewhere_need_not_be_pushed(layer: Document) -> None:
    found = read(image(layers=[layer]))
    assert [one.digest for one in found.blobs] == [Digest.of(b"{}")]
    assert len(found.layers) == 1


def test_an_empty_list_of_urls_sends_nobody_elsewhere() -> None:
    assert len(read(image(layers=[descriptor(urls=[])])).blobs) == 2


def test_a_manifest_may_be_just_as_large_as_the_limit() -> None:
    padding = MAX_BYTES - len(json.dumps(image(annotations={"x": ""})).encode())
    payload = json.dumps(image(annotations={"x": "y" * padding})).encode()
    assert len(payload) == MAX_BYTES
    assert len(parse(payload, None).payload) == MAX_BYTES
    with pytest.raises(ManifestTooLarge) as refused:
        parse(payload + b" ", None)
    assert refused.value.detail == {"limit_bytes": 4_194_304}


# --- group E: what is not --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "payload",
    [b"", b" ", b'""', b"null", b"[]", b'"x"', b"1", b"true", b"{", b"{}", b'{"schemaVersion":2', b"\0", b"<html/>"],
)
def test_e2_what_is_no_json_object_of_a_manifest_is_refused(payload: bytes) -> None:
    refusal(payload, OCI_IMAGE)
    refusal(payload)


@pytest.mark.parametrize(
    ("payload", "told"),
    [
        (b'{"schemaVersion":2,"mediaType":"a","mediaType":"b","layers":[]}', "'mediaType' stands twice"),
        (b'{"layers":[],"layers":[1]}', "'layers' stands twice"),
        (b'{"config":{"digest":"a","digest":"b"}}', "'digest' stands twice"),
        (b'{"config":{"annotations":{"x":"1","x":"2"}}}', "'x' stands twice"),
    ],
)
def test_e3_duplicate_keys_are_refused_at_any_depth(payload: bytes, told: str) -> None:
    assert told in refusal(payload, OCI_IMAGE)


@pytest.mark.parametrize(
    "twin",
    [
        {"MEDIATYPE": OCI_INDEX},
        {"MediaType": OCI_IMAGE},
        {"Layers": [2, 3]},
        {"Manifests": []},
        {"SCHEMAVERSION": 1},
        {"\u017fubject": None},  # long s: equal to "subject" to Go's encoding/json
        {"Config": None},
        {"Blobs": []},
        {"ANNOTATIONS": {}},
    ],
)
def test_e3_a_key_that_differs_from_a_known_one_only_by_case_is_refused(twin: Document) -> None:
    assert "only by case" in refusal(image(**twin))


@pytest.mark.parametrize("twin", [{"Digest": "x"}, {"SIZE": 1}, {"\u017fize": 1}, {"Urls": []}, {"DATA": ""}])
def test_e3_case_twins_in_a_descriptor_are_refused(twin: Document) -> None:
    assert "only by case" in refusal(image(layers=[descriptor(**twin)]))
    assert "only by case" in refusal(index(manifests=[descriptor(b"child", OCI_IMAGE, **twin)]))
    assert "only by case" in refusal(image(subject=descriptor(b"s", OCI_IMAGE, **twin)))


@pytest.mark.parametrize(
    "document",
    [
        image(manifests=[]),
        image(manifests=[descriptor(b"child", OCI_IMAGE)]),
        image(manifests=None),
        image(blobs=[]),
        index(layers=[]),
        index(config=descriptor(b"{}", CONFIG)),
        index(config=None),
        index(blobs=[descriptor()]),
        artifact(layers=[]),
        artifact(config=descriptor(b"{}", CONFIG)),
        artifact(manifests=[]),
    ],
)
def test_e4_a_document_of_two_kinds_is_refused(document: Document) -> None:
    assert "must not have the field" in refusal(document)


@pytest.mark.parametrize(
    ("document", "content_type"),
    [
        (image(), OCI_INDEX),
        (index(), OCI_IMAGE),
        (image(), DOCKER_IMAGE),
        (image(mediaType=DOCKER_IMAGE), OCI_IMAGE),
        (index(mediaType=DOCKER_LIST), OCI_INDEX),
        (image(), "text/plain"),
        (image(), "application/json"),
        (image(), "*/*"),
        (image(mediaType="application/json"), "application/json"),
        (image(mediaType=OCI_IMAGE + "; charset=utf-8"), None),
        (image(mediaType=OCI_IMAGE.upper()), None),
        (image(mediaType=""), None),
        (image(mediaType=5), OCI_IMAGE),
        (image(mediaType=[OCI_IMAGE]), OCI_IMAGE),
        (image(mediaType={}), None),
    ],
)
def test_e5_a_document_and_its_content_type_must_agree_on_a_kind_we_know(
    document: Document, content_type: str | None
) -> None:
    refusal(document, content_type)


def test_e5_a_document_without_any_type_is_refused() -> None:
    document = image()
    del document["mediaType"]
    assert "Neither" in refusal(document)
    assert "Neither" in refusal(document, "")


@pytest.mark.parametrize("depth", [65, 100_000])
@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}"), ('{"annotations":', "}")])
def test_e6_a_depth_bomb_is_refused(depth: int, opening: str, closing: str) -> None:
    bomb = opening * depth + "1" + closing * depth
    payload = json.dumps(image(x=0)).replace('"x": 0', f'"x": {bomb}').encode()
    assert "nested deeper" in refusal(payload)


@pytest.mark.parametrize(
    "size",
    [
        "-1",
        "1.0",
        "true",
        "false",
        '"5"',
        "NaN",
        "1e999",
        "1e2",
        "Infinity",
        str(2**63),
        "9" * 5_000,
        "null",
        "[5]",
        "{}",
    ],
)
def test_e7_a_size_is_a_whole_number_of_bytes(size: str) -> None:
    payload = json.dumps(image()).replace('"size": 5', f'"size": {size}').encode()
    assert f'"size": {size}'.encode() in payload
    refusal(payload)


def test_e7_a_size_must_be_there() -> None:
    layer = descriptor()
    del layer["size"]
    assert "layers[0].size" in refusal(image(layers=[layer]))


@pytest.mark.parametrize("size", [0, 1, 2**63 - 1])
def test_e7_any_size_of_63_bits_is_taken(size: int) -> None:
    assert read(image(layers=[descriptor(size=size)])).layers[0].size_bytes == size


@pytest.mark.parametrize("version", [1, 3, 0, -2, "2", None, True, [2], 2.5, 2.0])
def test_the_schema_version_is_the_whole_number_two(version: object) -> None:
    refusal(image(schemaVersion=version))
    refusal(index(schemaVersion=version))


def test_the_schema_version_must_be_there() -> None:
    for document in (image(), index()):
        del document["schemaVersion"]
        refusal(document)


@pytest.mark.parametrize(
    "payload",
    [
        json.dumps(image(annotations={"x": "PLACE"})).encode().replace(b"PLACE", b"\\ud800"),
        json.dumps(image(annotations={"x": "PLACE"})).encode().replace(b"PLACE", b"\xff"),
        json.dumps(image(annotations={"x": "PLACE"})).encode().replace(b"PLACE", b"\xed\xa0\x80"),
        b"\xef\xbb\xbf" + json.dumps(image()).encode(),
        json.dumps(image()).encode("utf-16"),
        json.dumps(image()).encode("utf-32-le"),
        json.dumps(image(**{"a\0b": 1})).encode(),
        json.dumps(image(**{"": 1})).encode(),
        json.dumps(image(layers=[{**descriptor(), "\0": 1}])).encode(),
        json.dumps(image()).encode() + b"\0",
        json.dumps(image()).encode() * 2,
    ],
)
def test_e8_text_that_others_could_read_differently_is_refused(payload: bytes) -> None:
    refusal(payload, OCI_IMAGE)


@pytest.mark.parametrize(
    "data",
    [
        "",
        "!!!",
        base64.b64encode(b"other").decode(),
        base64.b64encode(b"layerx").decode(),
        5,
        ["bGF5ZXI="],
        {},
        "bGF5ZXI",
    ],
)
def test_e10_embedded_content_must_be_the_content_named(data: object) -> None:
    assert "layers[0].data" in refusal(image(layers=[descriptor(data=data)]))


def test_e10_embedded_content_that_fits_is_taken() -> None:
    found = read(image(layers=[descriptor(data=base64.b64encode(b"layer").decode())]))
    assert found.layers[0].digest == Digest.of(b"layer")


def test_media_types_may_have_parameters() -> None:
    assert read(image(artifactType="application/x; version=1.0")).artifact_type == "application/x; version=1.0"


def test_e12_descriptors_are_bounded_and_counted_together() -> None:
    one = descriptor()
    assert len(read(image(layers=[one] * (MAX_DESCRIPTORS - 1))).layers) == MAX_DESCRIPTORS - 1
    assert "more than 10000 descriptors" in refusal(image(layers=[one] * MAX_DESCRIPTORS))
    assert "more than 10000 descriptors" in refusal(index(manifests=[one] * (MAX_DESCRIPTORS + 1)))


def test_e12_the_largest_manifest_is_read_in_bounded_time() -> None:
    small = {"mediaType": "a/b", "digest": str(Digest.of(b"")), "size": 0}
    payload = json.dumps(image(layers=[small] * 30_000)).encode()
    assert MAX_BYTES * 0.8 < len(payload) < MAX_BYTES
    began = time.thread_time()
    refusal(payload)
    assert time.thread_time() - began < 2


@pytest.mark.parametrize(
    "subject",
    [
        "sha256:" + "a" * 64,
        [],
        {},
        1,
        {"digest": "sha256:" + "a" * 64},
        {"mediaType": OCI_IMAGE, "digest": "sha256:abc", "size": 1},
        {"mediaType": OCI_IMAGE, "digest": "md5:" + "a" * 32, "size": 1},
        {"mediaType": OCI_IMAGE, "digest": "sha256:" + "a" * 64, "size": -1},
        {"mediaType": OCI_IMAGE, "digest": "sha256:" + "a" * 64},
        {"mediaType": "no type", "digest": "sha256:" + "a" * 64, "size": 1},
        {"digest": "sha256:" + "a" * 64, "size": 1},
    ],
)
def test_e14_a_malformed_subject_is_refused(subject: object) -> None:
    assert "subject" in refusal(image(subject=subject))


@pytest.mark.parametrize(
    "text", ["<script>", '"><img onerror=x>', "\x1b[31m", "a\r\nb", "\u202e", "x" * 1_000_000, "\U0001f600"]
)
def test_e15_annotations_are_bytes_to_us(text: str) -> None:
    payload = json.dumps(image(annotations={text[:80]: text})).encode()
    found = parse(payload, None)
    assert found.annotations == {text[:80]: text}
    assert found.payload == payload


@pytest.mark.parametrize(
    ("payload", "content_type"),
    [
        ({"schemaVersion": 1, "name": "x", "fsLayers": []}, "application/vnd.docker.distribution.manifest.v1+json"),
        (
            {"schemaVersion": 1, "fsLayers": [], "signatures": []},
            "application/vnd.docker.distribution.manifest.v1+prettyjws",
        ),
        ({"schemaVersion": 1}, OCI_IMAGE),
        ({"schemaVersion": 1, "fsLayers": []}, None),
        ({"fsLayers": []}, None),
    ],
)
def test_e16_schema_1_is_refused_by_name(payload: Document, content_type: str | None) -> None:
    assert "schema 1" in refusal(payload, content_type)


@pytest.mark.parametrize(
    "change",
    [
        {"config": None},
        {"config": []},
        {"config": "x"},
        {"config": {}},
        {"layers": None},
        {"layers": {}},
        {"layers": "x"},
        {"layers": [None]},
        {"layers": ["sha256:" + "a" * 64]},
        {"layers": [[]]},
        {"layers": [descriptor(mediaType=None)]},
        {"layers": [descriptor(mediaType="")]},
        {"layers": [descriptor(mediaType="noslash")]},
        {"layers": [descriptor(mediaType="a/b/c")]},
        {"layers": [descriptor(mediaType="a/b\n")]},
        {"layers": [descriptor(mediaType="a/" + "b" * 200)]},
        {"layers": [descriptor(mediaType=["a/b"])]},
        {"layers": [descriptor(digest=None)]},
        {"layers": [descriptor(digest=5)]},
        {"layers": [descriptor(digest="sha256:" + "A" * 64)]},
        {"layers": [descriptor(digest="sha256:" + "a" * 64 + "\n")]},
        {"layers": [descriptor(urls="http://x")]},
        {"layers": [descriptor(urls=[5])]},
        {"layers": [descriptor(urls={})]},
        {"layers": [descriptor(annotations=[])]},
        {"layers": [descriptor(annotations={"a": 1})]},
        {"layers": [descriptor(annotations={"a": None})]},
        {"annotations": []},
        {"annotations": "x"},
        {"annotations": {"a": ["b"]}},
        {"artifactType": 5},
        {"artifactType": "not a media type"},
        {"artifactType": "a/b\r\nX-Injected: 1"},
        {"artifactType": "a/b;\r\nX-Injected: 1"},
        {"artifactType": " a/b"},
        {"artifactType": "a/b;" + "x" * 300},
    ],
)
def test_a_field_of_the_wrong_shape_is_refused(change: Document) -> None:
    refusal(image(**change))


@pytest.mark.parametrize("missing", ["config", "layers"])
def test_an_image_needs_its_fields(missing: str) -> None:
    document = image()
    del document[missing]
    assert missing in refusal(document)


@pytest.mark.parametrize("change", [{"manifests": None}, {"manifests": {}}, {"manifests": [5]}])
def test_an_index_needs_a_list(change: Document) -> None:
    refusal(index(**change))


def test_an_artifact_manifest_needs_a_type() -> None:
    document = artifact()
    del document["artifactType"]
    assert "artifactType" in refusal(document)
    assert "artifactType" in refusal(artifact(artifactType=""))


# --- appending to a signature tag ------------------------------------------------------------------------------------


def _signed(*names: str, **more: Any) -> Document:
    layers = [descriptor(name.encode(), annotations={"dev.cosignproject.cosign/signature": name}) for name in names]
    return image(layers=layers, **more)


@pytest.mark.parametrize(
    ("older", "newer", "keeps"),
    [
        (_signed("a"), _signed("a", "b"), True),
        (_signed("a"), _signed("b", "a"), True),
        (_signed("a", "b"), _signed("b", "a"), True),
        (_signed(), _signed("a"), True),
        (_signed("a"), _signed("a", config=descriptor(b"new config", CONFIG)), True),
        (_signed("a", "b"), _signed("a"), False),
        (_signed("a"), _signed("b"), False),
        (_signed("a"), _signed(), False),
        (_signed("a"), image(layers=[descriptor(b"a")]), False),  # the same blob, its signature gone
        (
            _signed("a"),
            image(layers=[descriptor(b"a", annotations={"dev.cosignproject.cosign/signature": "forged"})]),
            False,
        ),
        (index(), index(manifests=[*index()["manifests"], descriptor(b"more", OCI_IMAGE)]), True),
        (index(), index(manifests=[descriptor(b"more", OCI_IMAGE)]), False),
        (index(), index(manifests=[]), False),
        (index(), image(), False),
        (_signed(), index(manifests=[]), False),
        (
            index(manifests=[descriptor(b"c", OCI_IMAGE, platform={"os.version": 1})]),
            index(manifests=[descriptor(b"c", OCI_IMAGE, platform={"os.version": True})]),
            False,
        ),
    ],
)
def test_an_append_keeps_every_descriptor_of_the_one_before(older: Document, newer: Document, *, keeps: bool) -> None:
    assert read(newer).keeps_every_descriptor_of(read(older)) is keeps


def test_the_largest_append_is_judged_in_bounded_time() -> None:
    # The judgement runs inside the one writer's transaction: nobody else pushes meanwhile.
    small = descriptor(b"", "a/b")
    older = read(image(layers=[{**small, "annotations": {"n": str(number)}} for number in range(9_999)]))
    newer = read(image(layers=[{**small, "annotations": {"n": str(-number)}} for number in range(9_999)]))
    grown = read(image(layers=[one.document for one in reversed(older.layers)]))
    began = time.thread_time()
    assert not newer.keeps_every_descriptor_of(older)
    assert grown.keeps_every_descriptor_of(older)
    assert time.thread_time() - began < 1


# --- only its own error ----------------------------------------------------------------------------------------------

_LEAF = (
    st.none() | st.booleans() | st.integers(-5, 2**64) | st.floats() | st.text(max_size=6)
    | st.sampled_from([OCI_IMAGE, OCI_INDEX, CONFIG, str(Digest.of(b"layer")), "sha256:x", "bGF5ZXI="])
)  # fmt: skip
_KEYS = st.sampled_from(
    [
        "schemaVersion",
        "mediaType",
        "artifactType",
        "config",
        "layers",
        "manifests",
        "blobs",
        "subject",
        "annotations",
        "digest",
        "size",
        "urls",
        "data",
        "platform",
        "fsLayers",
        "Layers",
    ]
) | st.text(max_size=3)
_ANY = st.recursive(_LEAF, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_KEYS, inner, max_size=5))
_MAKERS: list[Callable[..., Document]] = [image, index, artifact]


@given(st.sampled_from(_MAKERS), st.dictionaries(_KEYS, _ANY, max_size=3), st.sampled_from([None, *KINDS, "x/y"]))
@settings(max_examples=60)
def test_a_mangled_manifest_is_refused_or_read_and_no_other_error_is_raised(
    make: Callable[..., Document], change: Document, content_type: str | None
) -> None:
    document = make(**change)
    payload = json.dumps(document).encode()
    with contextlib.suppress(ManifestInvalid, ManifestTooLarge):
        found = parse(payload, content_type)
        assert found.payload == payload
        assert found.media_type in KINDS
        assert found.keeps_every_descriptor_of(found)


@given(st.sampled_from(_MAKERS), st.data())
@settings(max_examples=60)
def test_a_mangled_descriptor_is_refused_or_read_and_no_other_error_is_raised(
    make: Callable[..., Document], data: st.DataObject
) -> None:
    broken = {**descriptor(), **data.draw(st.dictionaries(_KEYS, _ANY, max_size=2))}
    where = data.draw(st.sampled_from(["config", "subject", "layers", "manifests", "blobs"]))
    with contextlib.suppress(ManifestInvalid, ManifestTooLarge):
        read(make(**{where: [broken] if where[-1] == "s" else broken}))


@given(st.binary(max_size=60), st.none() | st.text(max_size=10) | st.sampled_from(list(KINDS)))
def test_garbage_is_refused_and_no_other_error_is_raised(payload: bytes, content_type: str | None) -> None:
    with pytest.raises(ManifestInvalid):
        parse(payload, content_type)


def test_every_media_type_of_ours_has_a_kind() -> None:
    assert set(KINDS) == {OCI_IMAGE, OCI_INDEX, OCI_ARTIFACT, DOCKER_IMAGE, DOCKER_LIST}
    assert set(KINDS.values()) == set(manifests.Kind)
