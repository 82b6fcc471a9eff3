"""The key that seals is changed while the server runs: no gap for who holds a token, or the end of all at once."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
from botocore.exceptions import ClientError
from hypothesis import given
from hypothesis import strategies as st

from commands import Commands, environment
from holdfast import care
from holdfast.core.errors import ConfigurationInvalid
from holdfast.registry import seal as sealing
from holdfast.registry.seal import Seal, SealBroken
from images import image, push, sha256
from json_api import HOLDFAST_TARGET, Api, Clock
from ledgers import ledger_of
from running import ACCOUNT, KEY_ID, RunningServer, basic, running, settings
from waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HOUR = 3_600
ADMINISTRATOR = f"arn:aws:iam::{ACCOUNT}:user/administrator"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def up(tmp_path: Path, clock: Clock) -> Iterator[RunningServer]:
    with running(settings(tmp_path, create_on_push="MUTABLE"), clock=clock) as server:
        yield server
    assert care.fsck(tmp_path).findings == []


def login_token(up: RunningServer) -> str:
    with closing(up.aws()) as ecr:
        return str(ecr.get_authorization_token()["authorizationData"][0]["authorizationToken"])


def status(up: RunningServer, token: str) -> int:
    return up.anonymous()("GET", "/v2/", headers={"Authorization": f"Basic {token}"}).status


def keys(folder: Path) -> list[str]:
    return (folder / "seal.key").read_text("ascii").splitlines()


def test_what_was_sealed_before_is_good_until_it_expires(up: RunningServer, tmp_path: Path, clock: Clock) -> None:
    client, ecr, mine = up.client(), up.aws(), up.aws("holdfast")
    for tag in ("a", "b", "c"):
        push(client, "t/app", tag, image(b"a layer"))
    layer = sha256(b"a layer")
    mine.put_upstream_credential(name="hub", username="someone", password="secret")
    made = mine.create_access_key(name="administrator")
    token = login_token(up)
    page = ecr.list_images(repositoryName="t/app", maxResults=1)
    link = urlsplit(ecr.get_download_url_for_layer(repositoryName="t/app", layerDigest=layer)["downloadUrl"]).path
    before = keys(tmp_path)

    mine.rotate_seal_key()

    assert [line.split(" ")[0] for line in keys(tmp_path)[1:]] == before
    assert (tmp_path / "seal.key").stat().st_mode & 0o777 == 0o600
    assert status(up, token) == 200
    assert ecr.list_images(repositoryName="t/app", maxResults=1, nextToken=page["nextToken"])["imageIds"]
    assert up.anonymous()("GET", link).body == b"a layer"
    with closing(up.aws(key_id=made["accessKeyId"], secret=made["secretAccessKey"])) as other:
        assert other.describe_repositories()["repositories"]
    [told] = eventually(lambda: [one for one in ledger_of(client).entries if one.kind == "seal-key-rotated"])
    assert (told.facts["tokens_ended"], told.facts["principal"]) == (False, ADMINISTRATOR)

    seal = Seal((keys(tmp_path)[0] + "\n").encode())
    assert seal.open("secret", stored(up, "SELECT sealed_secret FROM access_keys LIMIT 1")), "sealed anew"
    assert seal.open("upstream", stored(up, "SELECT sealed FROM upstream_credentials"))["password"] == "secret"
    clock.ahead_seconds += 13 * HOUR
    assert status(up, token) == 403


def stored(up: RunningServer, statement: str) -> str:
    row = up.holdfast._database.row(statement)
    assert row is not None
    return str(row[0])


def test_all_tokens_end_at_once_when_they_are_to(up: RunningServer, tmp_path: Path) -> None:
    token, mine = login_token(up), up.aws("holdfast")
    assert status(up, token) == 200
    mine.rotate_seal_key(endTokens=True)
    assert status(up, token) == 401, "also who was remembered"
    assert status(up, login_token(up)) == 200
    assert up.client()("GET", "/v2/").status == 200, "an access key is no token"
    assert keys(tmp_path)[1].endswith(" secrets")


def test_a_restart_knows_all_keys(tmp_path: Path) -> None:
    with running(settings(tmp_path)) as up:
        ended = login_token(up)
        up.aws("holdfast").rotate_seal_key(endTokens=True)
        token = login_token(up)
        up.aws("holdfast").rotate_seal_key()
    with running(settings(tmp_path)) as up:
        assert (status(up, token), status(up, ended)) == (200, 401)
        assert up.client()("GET", "/v2/").status == 200


def test_a_key_is_forgotten_once_nothing_can_be_sealed_with_it(up: RunningServer, tmp_path: Path, clock: Clock) -> None:
    first = keys(tmp_path)[0]
    with closing(up.aws("holdfast")) as mine:
        mine.rotate_seal_key()
        clock.ahead_seconds += HOUR
    second = keys(tmp_path)[0]
    rotate(up, clock)
    assert [first, second] == sorted((line.split(" ")[0] for line in keys(tmp_path)[1:]), key=[first, second].index)
    clock.ahead_seconds += 11 * HOUR + 60
    rotate(up, clock)
    assert first not in " ".join(keys(tmp_path)), "retired for more than twelve hours"
    assert second in " ".join(keys(tmp_path))


def rotate(up: RunningServer, clock: Clock) -> None:
    with closing(Api(up, now=clock.now)) as api:
        assert api(f"{HOLDFAST_TARGET}.RotateSealKey").status == 200


def test_a_rotation_that_was_cut_off_harms_nothing_and_is_done_again(tmp_path: Path) -> None:
    with running(settings(tmp_path)) as up:
        token = login_token(up)
    Seal.at(tmp_path / "seal.key").rotate(1, end_tokens=False)  # the file is written, the database is not
    with running(settings(tmp_path)) as up:
        assert status(up, token) == 200
        assert up.client()("GET", "/v2/").status == 200
        up.aws("holdfast").rotate_seal_key()
        assert up.client()("GET", "/v2/").status == 200
    assert care.fsck(tmp_path).findings == []


def test_a_key_file_that_cannot_be_written_changes_nothing(
    up: RunningServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, token = keys(tmp_path), login_token(up)

    def refused(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched, closing(up.aws("holdfast")) as mine:
        patched.setattr(sealing, "replace_file", refused)
        with pytest.raises(ClientError) as caught:
            mine.rotate_seal_key(endTokens=True)
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 503
    assert keys(tmp_path) == before
    assert status(up, token) == 200


def test_the_command_asks_nobody_in_a_script(
    up: RunningServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    holdfast = Commands(monkeypatch, capsys, environment(up.url))
    assert holdfast("reseal").out.endswith("Tokens from before are good until they expire.\n")
    assert holdfast("reseal", "--end-tokens", "--json").json() == {"rotated": True, "tokens_ended": True}


@pytest.mark.parametrize("damaged", ["", "short", "{key} soon", "{key} 1 nothing", "{key} 1 secrets more", "{key}\n\n"])
def test_a_damaged_key_file_opens_nothing(damaged: str) -> None:
    key = "c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0MTI="
    text = damaged.format(key=key)
    if text.strip() == key:
        assert Seal(text.encode()).open("a", Seal(key.encode()).seal("a", {})) == {}
        return
    with pytest.raises(ConfigurationInvalid, match="damaged"):
        Seal(text.encode())


WORDS = ("c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0MTI=", "a/b", "1", "secrets", "", " ", "\n", "\r")
LINES = st.lists(st.sampled_from(WORDS))


@given(st.binary(max_size=200) | LINES.map(" ".join).map(str.encode) | LINES.map("\n".join).map(str.encode))
def test_whatever_the_key_file_holds_it_is_keys_or_damaged(content: bytes) -> None:
    try:
        seal = Seal(content)
    except ConfigurationInvalid:
        return
    assert seal.open("secret", seal.seal("secret", {"is": 1})) == {"is": 1}


def test_a_key_that_opens_secrets_alone_opens_no_token(tmp_path: Path) -> None:
    seal = Seal.at(tmp_path / "seal.key")
    sealed = {
        purpose: seal.seal(purpose, {"is": purpose}) for purpose in ("login", "session", "page", "secret", "upstream")
    }
    seal.rotate(1, end_tokens=True)
    for purpose in ("secret", "upstream"):
        assert seal.open(purpose, sealed[purpose]) == {"is": purpose}
        with pytest.raises(SealBroken):
            seal.open("login", sealed[purpose])
    for purpose in ("login", "session", "page"):
        with pytest.raises(SealBroken):
            seal.open(purpose, sealed[purpose])


def test_basic_credentials_of_an_access_key_outlive_every_rotation(up: RunningServer) -> None:
    mine = up.aws("holdfast")
    made = mine.create_access_key(name="administrator")
    authorization = basic(made["accessKeyId"], made["secretAccessKey"])
    for _ in range(3):
        mine.rotate_seal_key(endTokens=True)
        assert up.anonymous()("GET", "/v2/", headers={"Authorization": authorization}).status == 200
    assert made["accessKeyId"] != KEY_ID
