"""Images are read from files as they are, and what is no image raises LayoutInvalid and nothing else."""

from __future__ import annotations

import gzip
import json
import os
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import images
from holdfast.client.oci_layout import LayoutInvalid, LayoutWriter, SourceImage, open_image
from holdfast.core import manifest as manifests
from holdfast.core.digest import Digest
from layouts import docker_archive, files_of, write_folder, write_tar

if TYPE_CHECKING:
    from pathlib import Path


def contents(image: SourceImage) -> dict[str, bytes]:
    """Read every blob of an image."""
    found = {}
    for blob in image.all_blobs():
        with blob.open() as source:
            found[str(blob.digest)] = source.read()
    return found


def read(path: Path, pick: str | None = None) -> tuple[bytes, dict[str, bytes]]:
    with open_image(path, pick) as image:
        return image.manifest.payload, contents(image)


def expected(image: images.Image) -> dict[str, bytes]:
    found = {images.sha256(blob): blob for blob in image.blobs}
    for child in image.children:
        found |= expected(child)
    return found


@pytest.mark.parametrize("form", ["folder", "w", "w:gz", "w:xz"])
def test_a_layout_is_read_in_every_form(tmp_path: Path, form: str) -> None:
    image = images.index(images.image(os.urandom(100_000)), images.image())
    files = files_of(("v1", image))
    path = (
        write_folder(tmp_path / "layout", files)
        if form == "folder"
        else write_tar(tmp_path / "layout.tar", files, mode=form)
    )
    assert read(path) == (image.manifest, expected(image))


def test_names_with_a_leading_dot_are_the_same(tmp_path: Path) -> None:
    image = images.image()
    files = {f"./{name}": content for name, content in files_of((None, image)).items()}
    assert read(write_tar(tmp_path / "layout.tar", files))[0] == image.manifest


def test_one_of_several_is_picked_by_name(tmp_path: Path) -> None:
    first, second = images.image(), images.image()
    path = write_folder(tmp_path, files_of(("v1", first), ("v2", second), (None, first)))
    assert read(path, "v2")[0] == second.manifest
    assert read(path, first.digest)[0] == first.manifest
    with pytest.raises(LayoutInvalid, match=r"not one image here but 3; choose one with --pick. Here are: v1, v2"):
        read(path)
    with pytest.raises(LayoutInvalid, match="No single image here is called 'v3'"):
        read(path, "v3")


def test_docker_save_of_the_older_form(tmp_path: Path) -> None:
    layer, squeezed = os.urandom(10_000), gzip.compress(os.urandom(1_000))
    config = json.dumps({"architecture": "amd64", "rootfs": {"type": "layers", "diff_ids": []}}).encode()
    path = write_tar(tmp_path / "saved.tar", *docker_archive(config, layer, squeezed, layer))
    with open_image(path) as image:
        assert [one.media_type for one in image.manifest.layers] == [
            "application/vnd.oci.image.layer.v1.tar",
            "application/vnd.oci.image.layer.v1.tar+gzip",
            "application/vnd.oci.image.layer.v1.tar",
        ]
        assert [str(one.digest) for one in image.manifest.layers] == [
            images.sha256(one) for one in (layer, squeezed, layer)
        ]
        assert contents(image) == {images.sha256(one): one for one in (config, layer, squeezed)}
        assert image.size_bytes == sum(map(len, (config, layer, squeezed)))
    assert read(path, "app:latest")[0] == read(path)[0]


def test_a_name_in_an_archive_is_never_a_path(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("not for the registry")
    for name in (str(secret), "../secret", "config.json/../../secret"):
        files, _ = docker_archive(b"{}", b"layer")
        files["manifest.json"] = json.dumps([{"Config": name, "Layers": []}]).encode()
        with pytest.raises(LayoutInvalid, match="The archive has no file"):
            read(write_tar(tmp_path / "saved.tar", files))
        with pytest.raises(LayoutInvalid, match=r"no index\.json"):
            read(write_folder(tmp_path / "folder", files))
    links = {"config.json": str(secret)}
    entry = json.dumps([{"Config": "config.json", "Layers": []}]).encode()
    with pytest.raises(LayoutInvalid):
        read(write_tar(tmp_path / "saved.tar", {"manifest.json": entry}, links))
    with pytest.raises(LayoutInvalid):
        read(write_tar(tmp_path / "saved.tar", {"manifest.json": entry}, {"config.json": "config.json"}))


def test_what_is_damaged_or_missing_is_told(tmp_path: Path) -> None:
    image = images.image()
    files = files_of(("v1", image))
    digits = images.sha256(image.blobs[1]).removeprefix("sha256:")
    for change, sentence in (
        ({f"blobs/sha256/{digits}": b"short"}, "which has 5 bytes here"),
        ({f"blobs/sha256/{image.digest.removeprefix('sha256:')}": image.manifest + b"\n"}, "the file is damaged"),
        ({f"blobs/sha256/{image.digest.removeprefix('sha256:')}": b"x" * (4 * 1024 * 1024 + 1)}, "is larger than"),
        ({"index.json": b"{"}, "index.json is not valid JSON"),
        ({"index.json": b'{"manifests": [{"digest": "md5:1"}]}'}, "digest"),
    ):
        with pytest.raises(LayoutInvalid, match=sentence):
            read(write_tar(tmp_path / "layout.tar", files | change))
    del files[f"blobs/sha256/{digits}"]
    with pytest.raises(LayoutInvalid, match="which is not here"):
        read(write_tar(tmp_path / "layout.tar", files))


@pytest.mark.parametrize("content", [b"", b"no tar", b"\x1f\x8b\x08broken", b"\0" * 1024])
def test_a_file_that_is_no_archive(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)
    with pytest.raises(LayoutInvalid):
        read(path)


def test_indexes_do_not_nest_for_ever(tmp_path: Path) -> None:
    image = images.image()
    for _ in range(5):
        image = images.index(image)
    with pytest.raises(LayoutInvalid, match="nested deeper"):
        read(write_folder(tmp_path, files_of((None, image))))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
ENTRY = st.dictionaries(
    st.sampled_from(["digest", "mediaType", "annotations", "Config", "Layers", "RepoTags", "size"]), JSON, max_size=4
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    name=st.sampled_from(["index.json", "manifest.json"]),
    document=st.lists(ENTRY | JSON, max_size=3)
    | st.fixed_dictionaries({"manifests": st.lists(ENTRY | JSON, max_size=3)}),
)
def test_no_document_raises_anything_else(tmp_path: Path, name: str, document: Any) -> None:
    path = write_tar(tmp_path / "any.tar", {name: json.dumps(document).encode()})
    try:
        read(path)
    except LayoutInvalid:
        return


def test_the_writer_refuses_a_folder_of_something_else(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("x")
    with pytest.raises(LayoutInvalid, match="no image layout"):
        LayoutWriter(tmp_path)
    with pytest.raises(LayoutInvalid, match="is not a folder"):
        LayoutWriter(tmp_path / "precious")
    assert [one.name for one in tmp_path.iterdir()] == ["precious"]


def test_the_writer_keeps_only_what_is_whole(tmp_path: Path) -> None:
    layout = LayoutWriter(tmp_path / "layout")
    digest = Digest.of(b"content")

    def fails(sink: Any) -> None:
        sink.write(b"con")
        raise ConnectionError

    with pytest.raises(ConnectionError):
        layout.add(digest, fails)
    assert not layout.has(digest)
    assert [one.name for one in (tmp_path / "layout" / "blobs" / "sha256").iterdir()] == []
    layout.add(digest, lambda sink: sink.write(b"content"))
    assert layout.has(digest)
    (tmp_path / "layout" / "blobs" / "sha256" / digest.hex).write_bytes(b"damaged")
    assert not layout.has(digest)


def test_a_layout_holds_an_image_once_a_name(tmp_path: Path) -> None:
    first, second = (manifests.parse(images.image().manifest, images.OCI_IMAGE) for _ in range(2))
    for manifest, name in ((first, "v1"), (first, None), (first, None), (second, "v1"), (second, "v2")):
        LayoutWriter(tmp_path / "layout").finish(manifest, name)
    index = json.loads((tmp_path / "layout" / "index.json").read_bytes())
    named = [
        ((one.get("annotations") or {}).get("org.opencontainers.image.ref.name"), one["digest"])
        for one in index["manifests"]
    ]
    assert named == [(None, str(first.digest)), ("v1", str(second.digest)), ("v2", str(second.digest))]
