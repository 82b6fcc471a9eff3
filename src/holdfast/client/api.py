"""Clients of the JSON API, of AWS's ECR and of Holdfast alike: botocore, with our own service model beside AWS's."""

from __future__ import annotations

from importlib import resources
from typing import Any, Final

import botocore.session
from botocore.config import Config

_CONFIG: Final = {"retries": {"max_attempts": 2, "mode": "standard"}, "connect_timeout": 10, "read_timeout": 120}


def api_client(service: str, endpoint: str, region: str, key_id: str | None = None, secret: str | None = None) -> Any:  # noqa: ANN401 - botocore makes its clients at run time
    """Return a client of "ecr" or "holdfast" at an endpoint; without a key pair, AWS's usual places are asked."""
    session = botocore.session.Session()
    session.get_component("data_loader").search_paths.append(str(resources.files("holdfast") / "service"))
    return session.create_client(
        service,
        region_name=region,
        endpoint_url=endpoint,
        aws_access_key_id=key_id,
        aws_secret_access_key=secret,
        config=Config(**_CONFIG),
    )
