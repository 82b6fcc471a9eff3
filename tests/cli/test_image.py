"""`holdfast push` and `holdfast pull`: images between files and the registry."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest

import images
from layouts import docker_archive, files_of, write_folder, write_tar

if TYPE_CHECKING:
    from pathlib import Path

    from commands import Commands
    from running import Client


def test_an_image_goes_in_and_comes_out_byte_for_byte(
    holdfast: Commands, repository: str, client: Client, tmp_path: Path
) -> None:
    image = images.index(images.image(os.urandom(300_000)), images.image())
    source = write_tar(tmp_path / "image.tar", files_of(("v1", image)))
    pushed = holdfast("push", str(source), f"{repository}:v1", "--json")
    assert pushed.code == 0
    total = sum(len(blob) for child in image.children for blob in child.blobs)
    assert pushed.json() == {
        "repository": repository,
        "tag": "v1",
        "digest": image.digest,
        "blobs": 4,
        "already_there": 0,
        "pushed_bytes": total,
    }
    assert pushed.err.count("  pushed") == 4
    assert images.digest_of(client, repository, "v1") == image.digest

    for number, reference in enumerate((f"{repository}:v1", f"{repository}@{image.digest}")):
        folder = tmp_path / f"pulled{number}"
        pulled = holdfast("pull", reference, str(folder), "--json")
        assert pulled.code == 0
        told = pulled.json()
        assert (told["digest"], told["blobs"], told["pulled_bytes"]) == (image.digest, 4, total)
        for name, content in files_of(("v1", image)).items():
            if name.startswith("blobs/"):
                assert (folder / name).read_bytes() == content
    again = holdfast("pull", f"{repository}:v1", str(tmp_path / "pulled0"), "--json").json()
    assert (again["already_there"], again["pulled_bytes"]) == (4, 0)
    back = holdfast("push", str(tmp_path / "pulled0"), f"{repository}:v2", "--json").json()
    assert (back["digest"], back["already_there"]) == (image.digest, 4)


def test_a_held_tag_refuses_an_image_and_keeps_it(holdfast: Commands, repository: str, tmp_path: Path) -> None:
    holdfast("repo", "create", repository)
    first, second = (write_folder(tmp_path / name, files_of((None, images.image()))) for name in ("1", "2"))
    assert holdfast("push", str(first), f"{repository}:v1").code == 0
    refused = holdfast("push", str(second), f"{repository}:v1")
    assert (refused.code, refused.out) == (4, "")
    assert "cannot be overwritten because the tag is immutable" in refused.err
    command = refused.err.split("name it anew with: ")[1].split()
    assert command[:2] == ["holdfast", "tag"]
    assert holdfast("tag", command[2], "v2").code == 0
    told = holdfast("push", str(second), f"{repository}:v1", "--json")
    assert told.code == 4
    assert told.failure()["code"] == "DENIED"
    assert holdfast("push", str(first), f"{repository}:v1").code == 0


def test_docker_save_of_the_older_form_can_be_pushed(holdfast: Commands, repository: str, tmp_path: Path) -> None:
    config = json.dumps({"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": []}}).encode()
    layer = os.urandom(5_000)
    saved = write_tar(tmp_path / "saved.tar", *docker_archive(config, layer, os.urandom(10), layer))
    ran = holdfast("push", str(saved), f"{repository}:v1")
    assert ran.code == 0
    assert "3 blobs, 0 already there" in ran.out
    assert holdfast("pull", f"{repository}:v1", str(tmp_path / "pulled")).code == 0


def test_files_that_are_no_image_are_usage(holdfast: Commands, repository: str, tmp_path: Path) -> None:
    (tmp_path / "notes").write_text("no image")
    for source in (tmp_path, tmp_path / "notes"):
        ran = holdfast("push", str(source), f"{repository}:v1")
        assert ran.code == 2
    assert holdfast("push", str(tmp_path / "gone"), f"{repository}:v1").code == 2
    several = write_folder(tmp_path / "several", files_of(("a", images.image()), ("b", images.image())))
    asked = holdfast("push", str(several), f"{repository}:v1")
    assert asked.code == 2
    assert "choose one with --pick" in asked.err
    assert holdfast("push", str(several), f"{repository}:v1", "--pick", "b").code == 0


def test_pull_leaves_other_folders_alone(holdfast: Commands, repository: str, tmp_path: Path, client: Client) -> None:
    images.push(client, repository, "v1", images.image())
    (tmp_path / "notes").write_text("precious")
    assert holdfast("pull", f"{repository}:v1", str(tmp_path)).code == 2
    assert [one.name for one in tmp_path.iterdir()] == ["notes"]
    assert holdfast("pull", f"{repository}:v1", str(tmp_path / "notes")).code == 2


def test_pull_of_what_is_not_there(holdfast: Commands, repository: str, tmp_path: Path) -> None:
    ran = holdfast("pull", f"{repository}:v1", str(tmp_path / "a"))
    assert ran.code == 3
    assert "holdfast repo create" in ran.err
    holdfast("repo", "create", repository)
    ran = holdfast("pull", f"{repository}:v1", str(tmp_path / "a"), "--json")
    assert ran.code == 3
    assert ran.failure()["code"] == "MANIFEST_UNKNOWN"


def test_a_push_of_too_much_rights_is_told(holdfast: Commands, repository: str, tmp_path: Path) -> None:
    holdfast("repo", "create", repository)
    reader = f"reader-{repository.rpartition('/')[2]}"
    holdfast("user", "create", reader, "--read-only")
    made = holdfast("user", "key", "create", reader, "--json").json()
    source = write_folder(tmp_path, files_of((None, images.image())))
    ran = holdfast(
        "push",
        str(source),
        f"{repository}:v1",
        AWS_ACCESS_KEY_ID=made["access_key_id"],
        AWS_SECRET_ACCESS_KEY=made["secret_access_key"],
    )
    assert ran.code == 3
    assert "is not authorized to perform: ecr:" in ran.err


@pytest.mark.parametrize("reference", ["demo/app", "demo/app:v1:v2", "http://h/demo/app:v1", "demo/app@latest"])
def test_images_named_wrongly_are_usage(holdfast: Commands, tmp_path: Path, reference: str) -> None:
    assert holdfast("pull", reference, str(tmp_path / "a")).code == 2
    assert not (tmp_path / "a").exists()
