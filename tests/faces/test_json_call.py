"""Which host a reply of the JSON API names."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from holdfast.faces.http import Request
from holdfast.faces.json_call import Call
from holdfast.store.catalog import Registry

REGISTRY = Registry(1, "123456789012", "eu-central-1", "denied", "held")


@pytest.mark.parametrize(
    ("asked", "named"),
    [
        ("127.0.0.1:5000", "127.0.0.1:5000"),
        ("registry.example", "registry.example"),
        ("123456789012.dkr.ecr.eu-central-1.amazonaws.com", "123456789012.dkr.ecr.eu-central-1.amazonaws.com"),
        ("api.ecr.eu-central-1.amazonaws.com", "123456789012.dkr.ecr.eu-central-1.amazonaws.com"),
        ("api.ecr.eu-central-1.example:8443", "123456789012.dkr.ecr.eu-central-1.example:8443"),
        ("api.ecr.us-east-1.amazonaws.com", "123456789012.dkr.ecr.eu-central-1.amazonaws.com"),
        ("999999999999.dkr.ecr.eu-central-1.example", "123456789012.dkr.ecr.eu-central-1.example"),
    ],
)
def test_asked_at_ecrs_api_host_the_registry_is_named_at_its_own(asked: str, named: str) -> None:
    use = cast("Any", SimpleNamespace(registries=SimpleNamespace(owned_by=lambda *_: REGISTRY, default=REGISTRY)))
    caller = cast("Any", SimpleNamespace(account_id=REGISTRY.account_id))
    call = Call("X", Request("POST", "/", "", {}, host=asked, scheme="https"), caller, {}, use)
    assert call.endpoint == f"https://{named}"
