"""Three accounts in two regions with sixty repositories and what their pipelines did: the ground of the tutorial.

Everything is real: registries of one Holdfast server, roles assumed over STS, pushes through ECR's API by sessions of a
role `ci`, the organization by moto. Nothing is random, so that digests and accounts are the same in each run.
"""

from __future__ import annotations

import contextlib
import json
import urllib.request
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from botocore.config import Config

from estates import EVERYTHING, FAR, MANAGEMENT, Estate, aws_client, estate, moto, put
from holdfast.client.api import session_of
from images import Image, image
from running import KEY_ID, REGION, SECRET

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

GOVERNANCE = "holdfast-governance"
EXTERNAL_ID = "agreed"
REGIONS = (REGION, FAR)
CLEAN = ("shop/api", "shop/cart", "shop/search", "tools/cli")
WEB, EDGE, SIGNED, CACHE, HOTFIX, OLD = "shop/web", "shop/edge", "shop/signed", "ci/cache", "tools/hotfix", "tools/old"
NAMES = (*CLEAN, WEB, EDGE, SIGNED, CACHE, HOTFIX, OLD)
SIGNATURES = tuple(f"sha256-{digit * 64}.sig" for digit in "5b")


def build(name: str, number: int, *signatures: int) -> Image:
    """Return the image of a build; the parts are shared by all, so that pushes are quick."""
    more = {"annotations": {"build": f"{name} {number}"}} if not signatures else {}
    layers = tuple(f"signature {one}".encode() for one in signatures) or (b"a layer",)
    return image(*layers, config=b'{"architecture":"amd64"}', **more)


_SESSION = session_of()
_CONFIG = Config(retries={"max_attempts": 1}, proxies={})


@dataclass
class World:
    """The estate, and who is who in it."""

    made: Estate
    organization: str
    accounts: tuple[str, ...]
    sessions: dict[tuple[str, str, str], Any] = field(default_factory=dict)
    """A client of each repository's pipeline, by account, region and name."""

    @property
    def places(self) -> list[tuple[str, str]]:
        """Accounts and regions."""
        return [(account, region) for account in self.accounts for region in REGIONS]

    def pipeline(self, account: str, region: str, name: str) -> Any:
        """Return a client of a session of the role `ci`, named after the repository and the run."""
        key = account, region, name
        if key not in self.sessions:
            who = (KEY_ID, SECRET) if account == MANAGEMENT else self.made.keys[account]
            run = f"{name.replace('/', '-')}-build-{4711 + len(self.sessions)}"
            with contextlib.closing(self.client("sts", region, *who)) as sts:
                given = sts.assume_role(RoleArn=f"arn:aws:iam::{account}:role/ci", RoleSessionName=run)["Credentials"]
            keys = given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"]
            self.sessions[key] = self.client("ecr", region, *keys)
        return self.sessions[key]

    def client(self, service: str, region: str, key_id: str, secret: str, token: str | None = None) -> Any:
        """Return a client of the server; the models are read once for all."""
        return _SESSION.create_client(
            service,
            region_name=region,
            endpoint_url=self.made.server.url,
            aws_access_key_id=key_id,
            aws_secret_access_key=secret,
            aws_session_token=token,
            config=_CONFIG,
        )

    def close(self) -> None:
        """Close what was opened."""
        for one in self.sessions.values():
            one.close()


@contextlib.contextmanager
def world(data: Path) -> Iterator[World]:
    """Make everything, and the past."""
    with moto() as organization:
        # Seeded, moto gives accounts the same numbers in each run.
        with urllib.request.urlopen(  # noqa: S310 - loopback
            urllib.request.Request(f"{organization}/moto-api/seed?a=47", method="POST")  # noqa: S310 - loopback
        ):
            pass
        client = aws_client("organizations", "us-east-1", organization, ("AKIAAAAAAAAAAAAAAAAA", "x"))
        client.create_organization(FeatureSet="ALL")
        members = [
            client.create_account(Email=f"{name}@example.test", AccountName=name)["CreateAccountStatus"]["AccountId"]
            for name in ("payments", "platform")
        ]
        client.close()
        accounts = (MANAGEMENT, *members)
        with estate(data, dict.fromkeys(accounts, REGIONS)) as made:
            found = World(made, organization, accounts)
            try:
                _people(found)
                for account, region in found.places:
                    _past(found, account, region)
                yield found
            finally:
                found.close()


def _people(found: World) -> None:
    with contextlib.closing(found.made.server.aws("holdfast")) as ours:
        for account in found.accounts:
            trusts = {"Effect": "Allow", "Principal": {"AWS": account}, "Action": "sts:AssumeRole"}
            policies = [json.dumps(EVERYTHING)]
            ours.create_role(name="ci", trustPolicy=_policy(trusts), policies=policies, registryId=account)
            if account != MANAGEMENT:
                condition = {"StringEquals": {"sts:ExternalId": EXTERNAL_ID}}
                trusts = {**trusts, "Principal": {"AWS": MANAGEMENT}, "Condition": condition}
                ours.create_role(
                    name=GOVERNANCE,
                    trustPolicy=_policy(trusts),
                    policies=[json.dumps(EVERYTHING)],
                    registryId=account,
                )


def _policy(statement: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": statement})


def _past(found: World, account: str, region: str) -> None:
    """Push what the pipelines of one place pushed."""
    with contextlib.closing(found.made.ecr(account, region)) as ecr:
        for name in NAMES:
            ecr.create_repository(repositoryName=name)
    for name in CLEAN:
        for number in range(1, 4):
            tag(found, (account, region, name), f"1.0.{number}", build(name, number))
    for number in range(1, 6):
        tag(found, (account, region, WEB), f"2.{number}.0", build(WEB, number))
        tag(found, (account, region, WEB), "latest", build(WEB, number))
    for number in range(1, 5):
        tag(found, (account, region, EDGE), f"git-{number:07x}a", build(EDGE, number))
        tag(found, (account, region, EDGE), "main", build(EDGE, number))
        if number % 2 == 0:
            tag(found, (account, region, EDGE), "staging", build(EDGE, number))
    for number, signature in enumerate(SIGNATURES):
        tag(found, (account, region, SIGNED), f"3.{number}.0", build(SIGNED, number))
        tag(found, (account, region, SIGNED), signature, build(SIGNED, 0, number, 8))
        tag(found, (account, region, SIGNED), signature, build(SIGNED, 0, number, 8, 9))
    for number in range(1, 5):
        tag(found, (account, region, CACHE), "buildcache", build(CACHE, number))
    hotfix = account, region, HOTFIX
    tag(found, hotfix, "1.2.0", build(HOTFIX, 1))
    found.pipeline(*hotfix).batch_delete_image(repositoryName=HOTFIX, imageIds=[{"imageTag": "1.2.0"}])
    tag(found, hotfix, "1.2.0", build(HOTFIX, 2))


def tag(found: World, key: tuple[str, str, str], name: str, pushed: Image) -> None:
    """Push an image under a tag, as its pipeline does. Raises what the registry answers."""
    ecr = found.pipeline(*key)
    try:
        ecr.put_image(repositoryName=key[2], imageManifest=pushed.manifest.decode(), imageTag=name)
    except ecr.exceptions.LayersNotFoundException:
        put(ecr, key[2], name, pushed)
