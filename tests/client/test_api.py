"""The client of the JSON API: what goes wrong below leaves it as one of its own errors, and the secret stays here."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import pytest

from holdfast.client.api import API, APIError, APIUnreachable, CallInvalid, CredentialsMissing
from running import KEY_ID, REGION, SECRET, Client, RunningServer, basic

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def api(server: RunningServer) -> Iterator[API]:
    """A client of the shared server."""
    with contextlib.closing(API(server.url, REGION, KEY_ID, SECRET)) as made:
        yield made


def test_a_refusal_has_its_code_sentence_and_status(api: API, repository: str) -> None:
    with pytest.raises(APIError) as caught:
        api.ecr("describe_repositories", repositoryNames=[repository])
    error = caught.value
    assert (error.code, error.status) == ("RepositoryNotFoundException", 400)
    assert error.message == str(error)
    assert f"The repository with name '{repository}' does not exist" in error.message


def test_a_call_against_the_model_is_not_made(api: API) -> None:
    with pytest.raises(CallInvalid, match="repositoryName"):
        api.ecr("create_repository")
    with pytest.raises(CallInvalid):
        api.holdfast("list_tag_history", repositoryName=7)


def test_pages_are_followed(api: API, repository: str) -> None:
    names = [f"{repository}-{number}" for number in range(5)]
    for name in names:
        api.ecr("create_repository", repositoryName=name)
    found = api.pages("ecr", "describe_repositories", "repositories", PaginationConfig={"PageSize": 2})
    assert [one["repositoryName"] for one in found if one["repositoryName"] in names] == names


def test_a_login_is_made_of_the_key_and_does_not_hold_its_secret(api: API, server: RunningServer) -> None:
    name, password = api.login()
    assert name == "AWS"
    assert SECRET not in password
    with contextlib.closing(Client(server.host, server.port, basic(name, password))) as client:
        assert client("GET", "/v2/").status == 200


def test_nothing_there() -> None:
    nowhere = API("http://127.0.0.1:9", REGION, KEY_ID, SECRET)
    with contextlib.closing(nowhere), pytest.raises(APIUnreachable, match="Could not connect"):
        nowhere.ecr("describe_repositories")


def test_no_credentials(server: RunningServer, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with contextlib.closing(API(server.url, REGION)) as api, pytest.raises(CredentialsMissing):
        api.ecr("describe_repositories")


def test_a_proxy_is_not_asked_for_this_machine(api: API, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    assert api.holdfast("get_registry_settings")["refusalStyle"] == "denied"
