"""Clients of the JSON API, of AWS's ECR and of Holdfast alike: botocore, with our own service model beside AWS's.

This file alone knows botocore. What goes wrong below leaves it as one of three errors of ours: the service refused
(APIError), nothing answered (APIUnreachable), the call was never made (CallInvalid).
"""

from __future__ import annotations

import base64
import contextlib
import functools
from importlib import resources
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterator

_CONFIG: Final = {"retries": {"max_attempts": 2, "mode": "standard"}, "connect_timeout": 10, "read_timeout": 120}
_LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})
DEFAULT_REGION: Final = "us-east-1"
"""Of a server and of a client that are told none."""

_REPLY_TYPE: Final = "application/x-amz-json-1."


class APIError(Exception):
    """The service refused: the name of the exception, its sentence, the HTTP status."""

    def __init__(self, code: str, message: str, status: int) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status


class APIUnreachable(Exception):
    """Nothing answered, or nothing that could be understood."""


class CallInvalid(Exception):
    """A call that was never made: a parameter against the model, no credentials, no such profile."""


class CredentialsMissing(CallInvalid):
    """No credentials in any of the places that were looked at."""


def session_of(profile: str | None = None) -> Any:  # noqa: ANN401 - botocore has no types
    """Return a botocore session that knows our model."""
    import botocore.session  # noqa: PLC0415 - takes 0.3 s and 20 MB, which a server has no use for

    session = botocore.session.Session(profile=profile)
    session.get_component("data_loader").search_paths.append(str(resources.files("holdfast") / "service"))
    return session


def api_client(
    service: str,
    endpoint: str,
    region: str,
    key_id: str | None = None,
    secret: str | None = None,
    *,
    session: Any = None,  # noqa: ANN401 - botocore has no types
    more: Any = None,  # noqa: ANN401 - botocore has no types
) -> Any:  # noqa: ANN401 - botocore makes its clients at run time
    """Return a client of "ecr" or "holdfast" at an endpoint; without a key pair, AWS's usual places are asked.

    A server on this machine is never looked for through a proxy.
    """
    from botocore.config import Config  # noqa: PLC0415 - as above

    config = Config(**_CONFIG) if more is None else Config(**_CONFIG).merge(more)
    local: dict[str, Any] = {"proxies": {}} if urlsplit(endpoint).hostname in _LOOPBACK else {}
    return (session or session_of()).create_client(
        service,
        region_name=region,
        endpoint_url=endpoint,
        aws_access_key_id=key_id,
        aws_secret_access_key=secret,
        config=config.merge(Config(**local)),
    )


class API:
    """Amazon ECR's operations and Holdfast's at one endpoint. Raises APIError, APIUnreachable, CallInvalid."""

    def __init__(
        self,
        endpoint: str,
        region: str | None = None,
        key_id: str | None = None,
        secret: str | None = None,
        *,
        profile: str | None = None,
    ) -> None:
        """What is left out is asked of AWS's usual places. Nothing is sent before an operation is called."""
        with wrapped():
            session = session_of(profile)
            region = region or session.get_config_variable("region") or DEFAULT_REGION
            self.region: str = region
            self.ca_bundle: str | None = session.get_config_variable("ca_bundle") or None
        self._endpoint = endpoint
        self._make = functools.partial(
            api_client, endpoint=endpoint, region=region, key_id=key_id, secret=secret, session=session
        )
        self._clients: dict[str, Any] = {}

    def _client(self, service: str) -> Any:  # noqa: ANN401 - botocore has no types
        if service not in self._clients:
            self._clients[service] = self._make(service)
        return self._clients[service]

    def ecr(self, operation: str, **parameters: Any) -> Any:  # noqa: ANN401 - shapes of the model
        """Call an operation of Amazon ECR, by its name in snake case."""
        with wrapped():
            return self._checked(getattr(self._client("ecr"), operation)(**parameters))

    def check(self, operation: str, **parameters: Any) -> None:  # noqa: ANN401 - shapes of the model
        """Check the parameters of an operation of Amazon ECR, and send nothing. Raises CallInvalid."""
        from botocore.exceptions import ParamValidationError  # noqa: PLC0415 - as above
        from botocore.validate import ParamValidator  # noqa: PLC0415 - as above

        with wrapped():
            client = self._client("ecr")
            name = client.meta.method_to_api_mapping[operation]
            found = ParamValidator().validate(parameters, client.meta.service_model.operation_model(name).input_shape)
            if found.has_errors():
                raise ParamValidationError(report=f"{name}: {found.generate_report()}")

    def holdfast(self, operation: str, **parameters: Any) -> Any:  # noqa: ANN401 - shapes of the model
        """Call an operation of Holdfast's own, by its name in snake case."""
        with wrapped():
            return self._checked(getattr(self._client("holdfast"), operation)(**parameters))

    def sts(self, operation: str, **parameters: Any) -> Any:  # noqa: ANN401 - shapes of the model
        """Call an operation of AWS STS, by its name in snake case; one with a web identity needs no credentials."""
        from botocore import UNSIGNED  # noqa: PLC0415 - as above
        from botocore.config import Config  # noqa: PLC0415 - as above

        with wrapped():
            unsigned = operation == "assume_role_with_web_identity"
            client = self._make("sts", more=Config(signature_version=UNSIGNED)) if unsigned else self._client("sts")
            try:
                reply = getattr(client, operation)(**parameters)
            finally:
                if unsigned:
                    client.close()
            kind = reply["ResponseMetadata"]["HTTPHeaders"].get("content-type", "none")
            if not kind.startswith("text/xml"):
                message = f"What answers at {self._endpoint} is no STS API (content type {kind[:100]})."
                raise APIUnreachable(message)
            return reply

    def pages(self, service: str, operation: str, key: str, **parameters: Any) -> Iterator[Any]:  # noqa: ANN401
        """Give the items of a list, page by page; `key` is the member that holds them."""
        with wrapped():
            for page in self._client(service).get_paginator(operation).paginate(**parameters):
                yield from self._checked(page)[key]

    def _checked(self, reply: Any) -> Any:  # noqa: ANN401 - shapes of the model
        """Return a reply that is one: botocore takes any answer with status 200 for a reply without members."""
        kind = reply["ResponseMetadata"]["HTTPHeaders"].get("content-type", "none")
        if not kind.startswith(_REPLY_TYPE):
            message = (
                f"What answers at {self._endpoint} is no JSON API of ECR and Holdfast (content type {kind[:100]})."
            )
            raise APIUnreachable(message)
        return reply

    def login(self) -> tuple[str, str]:
        """Return a user name and a password for the registry protocol, made for the credentials of this client.

        The secret access key itself never leaves this machine.
        """
        data = self.ecr("get_authorization_token")["authorizationData"][0]
        name, _, password = base64.b64decode(data["authorizationToken"]).decode().partition(":")
        return name, password

    def close(self) -> None:
        """Close the connections."""
        for client in self._clients.values():
            client.close()


@contextlib.contextmanager
def wrapped() -> Iterator[None]:
    """Turn what botocore raises into our own errors."""
    from botocore import exceptions, parsers  # noqa: PLC0415 - as above

    try:
        yield
    except exceptions.ClientError as error:
        told = error.response.get("Error", {})
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        raise APIError(told.get("Code", "Unknown"), told.get("Message", str(error)), status) from None
    except exceptions.NoCredentialsError as error:
        raise CredentialsMissing(str(error)) from None
    except exceptions.PartialCredentialsError as error:
        raise CredentialsMissing(str(error)) from None
    except (exceptions.HTTPClientError, exceptions.ConnectionError, parsers.ResponseParserError) as error:
        raise APIUnreachable(str(error)) from error
    except (exceptions.ParamValidationError, exceptions.BotoCoreError, ValueError) as error:
        raise CallInvalid(str(error)) from None
