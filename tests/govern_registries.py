"""A simulator of registries that polices its caller, and can fail or end the caller before or after any call."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from holdfast.client.api import APIError
from holdfast.govern.plan import Settings

ACCOUNT = "111122223333"
REGION = "eu-central-1"
Place = tuple[str, str]


class Killed(BaseException):
    """The process is gone, as by kill -9."""


@dataclass
class Simulator:
    """Repositories and templates by place and name. `kill_at` ends the caller around its n-th call or journal line."""

    repositories: dict[tuple[str, str, str], Settings] = field(default_factory=dict)
    templates: dict[tuple[str, str, str], Settings] = field(default_factory=dict)
    denied: dict[Place, APIError] = field(default_factory=dict)
    calls: list[tuple[str, str]] = field(default_factory=list)
    writes: list[tuple[str, str]] = field(default_factory=list)
    kill_before: int | None = None
    kill_after: int | None = None
    meanwhile: dict[int, Any] = field(default_factory=dict)
    """What somebody else does before our n-th call."""

    def who(self, place: Place) -> str:
        return f"arn:aws:iam::{place[0]}:role/holdfast-governance"

    def call(self, place: Place, operation: str, parameters: dict[str, Any]) -> dict[str, Any]:
        number = len(self.calls)
        self.calls.append((operation, str(parameters.get("repositoryName", parameters.get("prefix", "")))))
        if number in self.meanwhile:
            self.meanwhile[number](self)
        if number == self.kill_before:
            raise Killed
        if place in self.denied:
            raise self.denied[place]
        reply: dict[str, Any] = getattr(self, f"_{operation}")(place, parameters)
        if number == self.kill_after:
            raise Killed
        return reply

    def _DescribeRepositories(self, place: Place, given: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        assert 1 <= len(given["repositoryNames"]) <= 100
        assert given["registryId"] == place[0]
        found = []
        for name in given["repositoryNames"]:
            if (*place, name) not in self.repositories:
                raise APIError("RepositoryNotFoundException", f"{name} is not there", 400)
            found.append({"repositoryName": name, **self.repositories[*place, name].parameters()})
        return {"repositories": found}

    def _PutImageTagMutability(self, place: Place, given: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        key = (*place, given["repositoryName"])
        if key not in self.repositories:
            raise APIError("RepositoryNotFoundException", "not there", 400)
        self.repositories[key] = Settings.read(given)
        self.writes.append((given["repositoryName"], str(self.repositories[key])))
        return {}

    def _CreateRepository(self, place: Place, given: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        key = (*place, given["repositoryName"])
        if key in self.repositories:
            raise APIError("RepositoryAlreadyExistsException", "there", 400)
        self.repositories[key] = Settings.read(given)
        self.writes.append((given["repositoryName"], "made"))
        return {}

    def _DescribeRepositoryCreationTemplates(self, place: Place, given: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        keys = [(*place, one) for one in given["prefixes"]]
        if any(key not in self.templates for key in keys):
            raise APIError("TemplateNotFoundException", "not there", 400)
        return {"repositoryCreationTemplates": [{"prefix": key[2], **self.templates[key].parameters()} for key in keys]}

    def _UpdateRepositoryCreationTemplate(self, place: Place, given: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        self.templates[*place, given["prefix"]] = Settings.read(given)
        self.writes.append((given["prefix"], "template"))
        return {}
