"""Lists: tags, the catalogue, referrers; page by page to the end, nothing dropped, nothing twice, nothing mixed up."""

from __future__ import annotations

import json
import os
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import pytest

from held_ground import WatchedClient, refused
from images import (
    OCI_CONFIG,
    OCI_IMAGE,
    OCI_INDEX,
    OCI_LAYER,
    Image,
    descriptor,
    image,
    index,
    push,
    push_blob,
    put,
    sha256,
)

if TYPE_CHECKING:
    from running import Answer

ARTIFACT = "application/vnd.oci.artifact.manifest.v1+json"


def follow(client: WatchedClient, path: str, key: str) -> list[list[Any]]:
    """Read a list page by page, following each Link to the end; return the pages."""
    pages: list[list[Any]] = []
    following: str | None = path
    while following is not None:
        answer = client("GET", following)
        assert answer.status == 200
        pages.append(answer.json()[key])
        following = next_of(answer)
        assert len(pages) < 1_000
    return pages


def next_of(answer: Answer) -> str | None:
    """Return where the next page is, checked as RFC 8288 writes it."""
    link = answer.headers["Link"]
    if link is None:
        return None
    found = re.fullmatch(r'<(/v2/[!-;=?-~]+)>; rel="next"', link)
    assert found, link
    return found[1]


def bind(client: WatchedClient, repository: str, tags: list[str]) -> Image:
    """Bind many tags to one image."""
    made = image()
    push(client, repository, tags[0], made)
    for first in range(0, len(tags), 32):
        query = "&".join(f"tag={tag}" for tag in tags[first : first + 32])
        assert put(client, repository, f"{made.digest}?{query}", made).status == 201
    return made


# --- tags ------------------------------------------------------------------------------------------------------------

TAGS = sorted(
    ["A", "Z", "_", "__", "a", "a.b", "a-b", "aa", "ab", "v1", "v1.0", "v10", "v2", "0", "00", "latest", "Latest"]
    + [f"t{number}" for number in range(30)]
)


@pytest.fixture
def tagged(oci: WatchedClient, repository: str) -> str:
    """A repository with many tags, some the beginning of others."""
    bind(oci, repository, TAGS[::-1])
    return repository


def test_tags_are_listed_in_byte_order(oci: WatchedClient, tagged: str) -> None:
    answer = oci("GET", f"/v2/{tagged}/tags/list")
    assert answer.json() == {"name": tagged, "tags": TAGS}
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.headers["Link"] is None


@pytest.mark.parametrize("size", [1, 2, 7, len(TAGS) - 1, len(TAGS), len(TAGS) + 1, 1_000])
def test_every_tag_is_on_one_page_whatever_the_page_size(oci: WatchedClient, tagged: str, size: int) -> None:
    pages = follow(oci, f"/v2/{tagged}/tags/list?n={size}", "tags")
    assert [tag for page in pages for tag in page] == TAGS
    assert [len(page) for page in pages[:-1]] == [size] * (len(pages) - 1)
    assert pages[-1]


@pytest.mark.parametrize(
    "last", ["", "Z", "v1", "v1.", "nothing-of-the-kind", "zzzz", "%00", "%F0%9F%98%80", "a%2Db", "../"]
)
def test_a_list_goes_on_after_any_name_whether_it_is_there_or_not(oci: WatchedClient, tagged: str, last: str) -> None:
    answer = oci("GET", f"/v2/{tagged}/tags/list?last={last}")
    assert answer.json()["tags"] == [tag for tag in TAGS if tag.encode() > unquote(last).encode()]


def test_no_entries_may_be_asked_for(oci: WatchedClient, tagged: str) -> None:
    answer = oci("GET", f"/v2/{tagged}/tags/list?n=0")
    assert answer.json() == {"name": tagged, "tags": []}
    assert answer.headers["Link"] is None
    assert oci("GET", "/v2/_catalog?n=0").json() == {"repositories": []}


@pytest.mark.parametrize("size", ["1001", "999999", "9" * 18])
def test_more_than_the_most_means_the_most(oci: WatchedClient, tagged: str, size: str) -> None:
    assert oci("GET", f"/v2/{tagged}/tags/list?n={size}").json()["tags"] == TAGS


@pytest.mark.parametrize(
    "size", ["", "-1", "x", "1.5", "1e3", "+5", "%20", "0x10", "9" * 19, "9" * 5_000, "%D9%A3", "1_0", "1%0a"]
)
@pytest.mark.parametrize("path", ["{}/tags/list", "_catalog", "{}/referrers/" + sha256(b"x")])
def test_a_page_size_that_is_no_number_is_refused(oci: WatchedClient, tagged: str, path: str, size: str) -> None:
    refused(oci("GET", f"/v2/{path.format(tagged)}?n={size}"), 400, "UNSUPPORTED")


@pytest.mark.parametrize("query", ["n=1&n=2", "last=a&last=b", "last=%ff", "&".join(f"x{n}=1" for n in range(70))])
@pytest.mark.parametrize("path", ["{}/tags/list", "_catalog"])
def test_a_query_that_could_mean_two_things_is_refused(oci: WatchedClient, tagged: str, path: str, query: str) -> None:
    refused(oci("GET", f"/v2/{path.format(tagged)}?{query}"), 400, "UNSUPPORTED")


def test_a_list_tells_what_is_there_now(oci: WatchedClient, tagged: str) -> None:
    page = oci("GET", f"/v2/{tagged}/tags/list?n=5")
    oci("DELETE", f"/v2/{tagged}/manifests/{TAGS[5]}")
    following = next_of(page)
    assert following is not None
    assert oci("GET", following).json()["tags"] == TAGS[6:11]


def test_a_repository_without_tags_has_an_empty_list(oci: WatchedClient, repository: str) -> None:
    push_blob(oci, repository, b"a blob")
    assert oci("GET", f"/v2/{repository}/tags/list").json() == {"name": repository, "tags": []}


def test_there_is_no_list_of_what_is_not_there(oci: WatchedClient) -> None:
    refused(oci("GET", "/v2/not/there/tags/list"), 404, "NAME_UNKNOWN")


# --- the catalogue ---------------------------------------------------------------------------------------------------


def test_a16_names_that_begin_with_one_another_are_not_mixed(oci: WatchedClient, repository: str) -> None:
    names = [f"{repository}{end}" for end in ("", "-b", "/b", "b", ".b", "_b", "/b/c", "-b/c")]
    for name in names:
        bind(oci, name, [f"only-{name[-1]}-{len(name)}"])
    listed = [name for page in follow(oci, "/v2/_catalog?n=3", "repositories") for name in page]
    assert [name for name in listed if name.startswith(repository)] == sorted(names)
    assert listed == sorted(set(listed))
    for name in names:
        assert oci("GET", f"/v2/{name}/tags/list").json()["tags"] == [f"only-{name[-1]}-{len(name)}"]


def test_the_catalogue_goes_on_after_a_name(oci: WatchedClient, repository: str) -> None:
    for end in ("1", "2", "3"):
        push_blob(oci, repository + end, b"x")
    answer = oci("GET", f"/v2/_catalog?n=2&last={repository}1")
    assert answer.json() == {"repositories": [f"{repository}2", f"{repository}3"]}
    assert [name for page in follow(oci, "/v2/_catalog?n=1", "repositories") for name in page] == [
        name for page in follow(oci, "/v2/_catalog", "repositories") for name in page
    ]


# --- referrers -------------------------------------------------------------------------------------------------------


def referrer(subject: Image, number: int, artifact_type: str | None = "application/x.sig", **more: Any) -> Image:
    """Make an artifact that refers to an image."""
    typed = {"artifactType": artifact_type} if artifact_type is not None else {}
    return image(b"sig", config=b"{}", subject=subject.descriptor, annotations={"number": str(number)}, **typed, **more)


@pytest.fixture
def subject(oci: WatchedClient, repository: str) -> Image:
    """An image that others refer to."""
    made = image()
    push(oci, repository, "v1", made)
    push_blob(oci, repository, b"sig")
    push_blob(oci, repository, b"{}")
    return made


def _referrers(client: WatchedClient, repository: str, digest: str, query: str = "") -> Answer:
    return client("GET", f"/v2/{repository}/referrers/{digest}{query}")


def test_an_image_without_referrers_has_an_empty_index(oci: WatchedClient, repository: str, subject: Image) -> None:
    answer = _referrers(oci, repository, subject.digest)
    assert answer.headers["Content-Type"] == OCI_INDEX
    assert answer.json() == {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": []}


@pytest.mark.parametrize("digest", [sha256(b"never seen"), "sha512:" + "a" * 128])
def test_what_is_not_there_has_no_referrers_and_is_no_error(
    oci: WatchedClient, repository: str, subject: Image, digest: str
) -> None:
    assert subject.digest
    assert _referrers(oci, repository, digest).json()["manifests"] == []
    assert _referrers(oci, "not/there", digest).json()["manifests"] == []


def test_a_referrer_is_described_from_its_own_bytes(oci: WatchedClient, repository: str, subject: Image) -> None:
    pushed = referrer(subject, 1)
    answer = put(oci, repository, pushed.digest, pushed)
    assert (answer.status, answer.headers["OCI-Subject"]) == (201, subject.digest)
    (found,) = _referrers(oci, repository, subject.digest).json()["manifests"]
    assert found == {
        **pushed.descriptor,
        "artifactType": "application/x.sig",
        "annotations": {"number": "1"},
    }


def test_without_an_artifact_type_the_configs_type_tells(oci: WatchedClient, repository: str, subject: Image) -> None:
    pushed = referrer(subject, 1, None)
    put(oci, repository, pushed.digest, pushed)
    (found,) = _referrers(oci, repository, subject.digest).json()["manifests"]
    assert found["artifactType"] == OCI_CONFIG


def test_indexes_and_artifact_manifests_refer_too(oci: WatchedClient, repository: str, subject: Image) -> None:
    pushed_index = index(subject, subject=subject.descriptor, artifactType="application/x.set")
    assert put(oci, repository, pushed_index.digest, pushed_index).status == 201
    document = {
        "mediaType": ARTIFACT,
        "artifactType": "application/x.old",
        "blobs": [descriptor(b"sig", OCI_LAYER)],
        "subject": subject.descriptor,
    }
    artifact = Image(json.dumps(document).encode(), ARTIFACT)
    assert put(oci, repository, artifact.digest, artifact).status == 201
    found = _referrers(oci, repository, subject.digest).json()["manifests"]
    assert {one["artifactType"]: one["mediaType"] for one in found} == {
        "application/x.set": OCI_INDEX,
        "application/x.old": ARTIFACT,
    }
    assert "annotations" not in found[0]


def test_referrers_of_one_type_are_picked_and_the_filter_is_told(
    oci: WatchedClient, repository: str, subject: Image
) -> None:
    kinds = ["application/x.sig", "application/x.sbom", "application/x+y; v=1"]
    pushed = [referrer(subject, number, kinds[number % 3]) for number in range(6)]
    for one in pushed:
        assert put(oci, repository, one.digest, one).status == 201
    unfiltered = _referrers(oci, repository, subject.digest)
    assert unfiltered.headers["OCI-Filters-Applied"] is None
    assert len(unfiltered.json()["manifests"]) == 6
    for kind, escaped in zip(
        kinds, ["application/x.sig", "application%2Fx.sbom", "application/x%2By%3B%20v%3D1"], strict=True
    ):
        answer = _referrers(oci, repository, subject.digest, f"?artifactType={escaped}")
        assert answer.headers["OCI-Filters-Applied"] == "artifactType"
        found = answer.json()["manifests"]
        assert len(found) == 2
        assert {one["artifactType"] for one in found} == {kind}
    assert _referrers(oci, repository, subject.digest, "?artifactType=no/such").json()["manifests"] == []


def test_referrers_come_in_pages_that_keep_the_filter(oci: WatchedClient, repository: str, subject: Image) -> None:
    wanted = [referrer(subject, number) for number in range(7)]
    others = [referrer(subject, number, "application/x.other") for number in range(5)]
    for one in (*wanted, *others):
        assert put(oci, repository, one.digest, one).status == 201
    path = f"/v2/{repository}/referrers/{subject.digest}"
    pages = follow(oci, f"{path}?n=2&artifactType=application%2Fx.sig", "manifests")
    assert [len(page) for page in pages] == [2, 2, 2, 1]
    assert sorted(one["digest"] for page in pages for one in page) == sorted(one.digest for one in wanted)
    everything = follow(oci, f"{path}?n=5", "manifests")
    assert [len(page) for page in everything] == [5, 5, 2]
    assert len(oci("GET", path).json()["manifests"]) == 12


def test_a_page_of_referrers_has_a_bound_of_its_own(oci: WatchedClient, repository: str, subject: Image) -> None:
    for number in range(105):
        one = referrer(subject, number)
        assert put(oci, repository, one.digest, one).status == 201
    pages = follow(oci, f"/v2/{repository}/referrers/{subject.digest}?n=100000", "manifests")
    assert [len(page) for page in pages] == [100, 5]


def test_a_referrer_that_is_deleted_is_no_longer_listed(oci: WatchedClient, repository: str, subject: Image) -> None:
    pushed = referrer(subject, 1)
    put(oci, repository, pushed.digest, pushed)
    assert oci("DELETE", f"/v2/{repository}/manifests/{pushed.digest}").status == 202
    assert _referrers(oci, repository, subject.digest).json()["manifests"] == []


def test_referrers_that_came_before_their_subject_are_listed(
    oci: WatchedClient, repository: str, subject: Image
) -> None:
    late = image(subject.blobs[1], config=os.urandom(9))
    pushed = referrer(late, 1)
    assert put(oci, repository, pushed.digest, pushed).headers["OCI-Subject"] == late.digest
    assert len(_referrers(oci, repository, late.digest).json()["manifests"]) == 1
    push(oci, repository, "late", late)
    assert len(_referrers(oci, repository, late.digest).json()["manifests"]) == 1


def test_referrers_of_one_repository_are_not_those_of_another(
    oci: WatchedClient, repository: str, subject: Image
) -> None:
    pushed = referrer(subject, 1)
    put(oci, repository, pushed.digest, pushed)
    other = f"{repository}-other"
    push(oci, other, "v1", subject)
    assert _referrers(oci, other, subject.digest).json()["manifests"] == []


@pytest.mark.parametrize("digest", ["v1", "sha256:short", "md5:d41d8cd98f00b204e9800998ecf8427e", "sha256%3Ashort"])
def test_what_is_no_digest_has_no_referrers(oci: WatchedClient, repository: str, digest: str) -> None:
    refused(_referrers(oci, repository, digest), 400, "DIGEST_INVALID")


def test_text_of_strangers_in_a_list_stays_text(oci: WatchedClient, repository: str, subject: Image) -> None:
    nasty = '"><script>\x1b[31m\r\nX-Injected: 1\u202e'
    pushed = referrer(subject, 1, annotations2=None)
    document = {**json.loads(pushed.manifest), "annotations": {nasty: nasty}}
    payload = Image(json.dumps(document).encode(), OCI_IMAGE)
    assert put(oci, repository, payload.digest, payload).status == 201
    answer = _referrers(oci, repository, subject.digest)
    assert answer.headers["X-Injected"] is None
    assert answer.body.isascii()
    assert b"\x1b" not in answer.body
    assert answer.json()["manifests"][0]["annotations"] == {nasty: nasty}
