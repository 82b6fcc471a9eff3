"""The inventory against Holdfast's own ECR API and STS, with AWS Organizations played by moto."""

from __future__ import annotations

import contextlib
import http.client
import itertools
import json
import threading
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from commands import Commands, environment
from estates import FAR, MANAGEMENT, READER, Estate, aws_client, estate, moto
from holdfast.client.aws import AWS
from holdfast.core.mutability import TagMutability
from holdfast.govern.estate import Failure, Inventory, RegistryRecord, RepositoryRecord, read_inventory
from holdfast.govern.inventory import Wish, take
from holdfast.govern.places import Place, Where, find
from images import image, index
from running import KEY_ID, REGION, SECRET
from stub import Asked, Told, stub

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

EXCLUDED = [{"filterType": "WILDCARD", "filter": "latest"}, {"filterType": "WILDCARD", "filter": "sha256-*"}]


@pytest.fixture(scope="module")
def organization() -> Iterator[tuple[str, list[str]]]:
    """The address of AWS Organizations, and the accounts below the managing one."""
    with moto() as url:
        client = aws_client("organizations", "us-east-1", url, ("AKIAAAAAAAAAAAAAAAAA", "x"))
        assert client.create_organization(FeatureSet="ALL")["Organization"]["MasterAccountId"] == MANAGEMENT
        made = [client.create_account(Email=f"team{one}@example.test", AccountName=f"team-{one}") for one in range(2)]
        client.close()
        yield url, [one["CreateAccountStatus"]["AccountId"] for one in made]


@pytest.fixture(scope="module")
def shared(organization: tuple[str, list[str]], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Estate]:
    """Three accounts in two regions, ten repositories each."""
    accounts = dict.fromkeys((MANAGEMENT, *organization[1]), (REGION, FAR))
    with estate(tmp_path_factory.mktemp("estate"), accounts) as made:
        for account, regions in accounts.items():
            for region in regions:
                with contextlib.closing(made.ecr(account, region)) as ecr:
                    for number in range(10):
                        ecr.create_repository(repositoryName=f"team/app-{number}")
        yield made


@pytest.fixture
def holdfast(
    shared: Estate,
    organization: tuple[str, list[str]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Commands:
    for name in ("HOLDFAST_ACCESS_KEY_ID", "HOLDFAST_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    variables = {**environment(shared.server.url), "AWS_ENDPOINT_URL_ORGANIZATIONS": organization[0]}
    return Commands(monkeypatch, capsys, variables)


def read(path: Path) -> Inventory:
    with path.open("rb") as file:
        return read_inventory(file)


ALL = ("inventory", "--organization", "--role", READER, "--external-id", "agreed")


def test_an_organization_is_read_whole(
    holdfast: Commands, shared: Estate, organization: tuple[str, list[str]], tmp_path: Path
) -> None:
    account = organization[1][0]
    with contextlib.closing(shared.ecr(account, FAR)) as ecr:
        ecr.put_image_tag_mutability(
            repositoryName="team/app-3",
            imageTagMutability="IMMUTABLE_WITH_EXCLUSION",
            imageTagMutabilityExclusionFilters=EXCLUDED,
        )
        policy = '{"rules":[{"rulePriority":1,"selection":{"tagStatus":"untagged","countType":"imageCountMoreThan",'
        policy += '"countNumber":1},"action":{"type":"expire"}}]}'
        ecr.put_lifecycle_policy(repositoryName="team/app-3", lifecyclePolicyText=policy)
        ecr.create_repository_creation_template(
            prefix="cache", appliedFor=["CREATE_ON_PUSH"], imageTagMutability="MUTABLE"
        )
        ecr.tag_resource(
            resourceArn=f"arn:aws:ecr:{FAR}:{account}:repository/team/app-3", tags=[{"Key": "team", "Value": "red"}]
        )
        ecr.put_replication_configuration(
            replicationConfiguration={
                "rules": [
                    {
                        "destinations": [{"region": REGION, "registryId": account}],
                        "repositoryFilters": [{"filter": "replicated/", "filterType": "PREFIX_MATCH"}],
                    }
                ]
            }
        )
    parts = index(image(), image())
    first = shared.push(account, FAR, "team/app-3", "latest")
    second = shared.push(account, FAR, "team/app-3", "latest", parts)
    out = tmp_path / "estate.jsonl"
    ran = holdfast(*ALL, "--out", str(out), "--json")
    assert ran.code == 0, ran.err
    told = ran.json()
    assert (told["repositories"], told["registries"], told["failures"]) == (60, 6, [])
    found = read(out)
    assert found.is_complete
    assert len({one.key for one in found.repositories}) == 60
    assert {(one.account, one.account_name) for one in found.registries} >= {(account, "team-0")}
    one = next(each for each in found.repositories if each.key == (account, FAR, "team/app-3"))
    assert (one.mode, set(one.filters)) == (TagMutability.IMMUTABLE_WITH_EXCLUSION, {"latest", "sha256-*"})
    assert one.lifecycle_policy is not None
    assert "rulePriority" in one.lifecycle_policy
    assert (one.policy, one.resource_tags) == ("", {"team": "red"})
    assert one.images is not None
    assert one.live_tags is not None
    assert (one.images.images, one.images.tags, one.images.untagged) == (4, 1, 3)
    # The parts of the index are untagged, and reached by it; what `latest` named before is what was left behind.
    assert one.images.orphans == 1
    assert [(tag.tag, tag.digest) for tag in one.live_tags] == [("latest", second)]
    assert first != second
    registry = found.registry_of(one)
    assert registry is not None
    assert registry.templates is not None
    assert registry.replication is not None
    assert [(each.prefix, each.mode, each.applied_for) for each in registry.templates] == [
        ("cache", TagMutability.MUTABLE, ("CREATE_ON_PUSH",))
    ]
    assert registry.replication[0].destinations == ((account, REGION),)
    assert registry.replication[0].prefixes == ("replicated/",)
    assert registry.policy == ""


def test_an_account_that_denies_is_named_and_read_later(
    holdfast: Commands, shared: Estate, organization: tuple[str, list[str]], tmp_path: Path
) -> None:
    account, out = organization[1][1], tmp_path / "estate.jsonl"
    with contextlib.closing(shared.server.aws("holdfast")) as ours:
        role = next(one for one in ours.list_roles(registryId=account)["roles"] if one["name"] == READER)
        ours.delete_role(name=READER, registryId=account)
        ran = holdfast(*ALL, "--out", str(out))
        assert ran.code == 3
        assert f"{account}/*  sts:AssumeRole arn:aws:iam::{account}:role/{READER}: AccessDenied" in ran.err
        assert "Part done: 1 things" in ran.err
        found = read(out)
        assert (found.is_finished, found.is_complete, len(found.repositories)) == (True, False, 40)
        ours.create_role(name=READER, trustPolicy=role["trustPolicy"], policies=[ALLOWED], registryId=account)
    ran = holdfast(*ALL, "--out", str(out), "--resume", "--json")
    assert (ran.code, ran.json()["kept_from_before"]) == (0, 40), ran.err
    found = read(out)
    assert found.is_complete
    assert len({one.key for one in found.repositories}) == len(found.repositories) == 60


ALLOWED = json.dumps({"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "ecr:*", "Resource": "*"}})


def test_a_right_that_is_missing_is_named_and_not_asked_for_again(
    holdfast: Commands, shared: Estate, tmp_path: Path
) -> None:
    allowed = ["ecr:Describe*", "ecr:GetRegistry*", "ecr:ListTagsForResource", "ecr:GetRepositoryPolicy"]
    policy = {"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": allowed, "Resource": "*"}}
    with contextlib.closing(shared.server.aws("holdfast")) as ours:
        ours.create_principal(name="half", policies=[json.dumps(policy)])
        key = ours.create_access_key(name="half")
    out = tmp_path / "estate.jsonl"
    ran = holdfast(
        "inventory",
        "--region",
        REGION,
        "--out",
        str(out),
        AWS_ACCESS_KEY_ID=key["accessKeyId"],
        AWS_SECRET_ACCESS_KEY=key["secretAccessKey"],
    )
    assert ran.code == 3
    found = read(out)
    assert len(found.repositories) == 10
    assert {one.lifecycle_policy for one in found.repositories} == {None}, "what could not be read is not ''"
    assert all(one.policy == "" and one.images is not None for one in found.repositories)
    assert {(one.what, one.code) for one in found.failures} == {("ecr:GetLifecyclePolicy", "AccessDeniedException")}
    assert 3 <= len(found.failures) <= 6, "threads that were under way may have been denied too"
    assert any("not asked for of the other repositories" in one.sentence for one in found.failures)


def test_wrong_credentials_end_the_command_at_once(holdfast: Commands, tmp_path: Path) -> None:
    out = tmp_path / "estate.jsonl"
    ran = holdfast(*ALL, "--out", str(out), "--json", AWS_SECRET_ACCESS_KEY="wrong")
    assert ran.code == 3
    assert ran.failure()["code"] == "SignatureDoesNotMatch"
    assert not out.exists(), "a file of a run before is not touched"
    ran = holdfast(*ALL, "--out", str(out), "--json", AWS_ACCESS_KEY_ID=None, AWS_SECRET_ACCESS_KEY=None)
    assert (ran.code, ran.failure()["code"]) == (2, "CredentialsMissing")


def test_half_a_key_of_ours_is_told_and_no_other_is_used_instead(holdfast: Commands, tmp_path: Path) -> None:
    ran = holdfast(*ALL, "--out", str(tmp_path / "estate.jsonl"), HOLDFAST_ACCESS_KEY_ID=KEY_ID)
    assert ran.code == 2
    assert "HOLDFAST_SECRET_ACCESS_KEY go together" in ran.err
    assert not (tmp_path / "estate.jsonl").exists()


class Listening:
    """A sink and a watcher that does something once when a page was listed."""

    def __init__(self, act: Any) -> None:
        self.records: list[Any] = []
        self._act = act
        self._lock = threading.Lock()

    def add(self, record: RegistryRecord | RepositoryRecord | Failure) -> None:
        with self._lock:
            self.records.append(record)

    def begin(self, place: Place) -> None:
        pass

    def listed(self, place: Place, repositories: int) -> None:
        del place, repositories
        act, self._act = self._act, None
        if act is not None:
            act()

    def read(self, place: Place, repositories: int) -> None:
        pass

    def end(self, place: Place) -> None:
        pass


def test_a_repository_that_is_deleted_half_way_is_left_out(shared: Estate) -> None:
    shared.repository(MANAGEMENT, REGION, "team/passing")

    def delete() -> None:
        with contextlib.closing(shared.ecr(MANAGEMENT, REGION)) as ecr:
            ecr.delete_repository(repositoryName="team/passing", force=True)

    aws = AWS(endpoint=shared.server.url, key=(KEY_ID, SECRET))
    found = find(aws, Where(regions=(REGION,)))
    sink = Listening(delete)
    outcome = take(found.places, sink, Wish(), sink)
    assert (outcome.repositories, outcome.gone, outcome.failures) == (10, 1, 0)
    assert "team/passing" not in {one.name for one in sink.records if isinstance(one, RepositoryRecord)}


def test_what_was_stopped_is_not_finished(shared: Estate) -> None:
    aws = AWS(endpoint=shared.server.url, key=(KEY_ID, SECRET))
    stop = threading.Event()
    sink = Listening(stop.set)
    outcome = take(find(aws, Where(regions=(REGION, FAR))).places, sink, Wish(places_at_once=1), sink, stop=stop)
    assert outcome.repositories == 0
    assert [type(one) for one in sink.records] == [RegistryRecord]


def test_a_place_that_is_not_there_is_a_failure_and_the_others_go_on(holdfast: Commands, tmp_path: Path) -> None:
    out = tmp_path / "estate.jsonl"
    ran = holdfast("inventory", "--region", REGION, "--region", "mars-north-1", "--out", str(out))
    assert ran.code == 3
    assert "mars-north-1" in ran.err
    assert len(read(out).repositories) == 10


def test_an_account_of_aws_is_entered_by_role_and_its_enabled_regions_are_read(
    organization: tuple[str, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The calls that AWS would be sent, to moto's Organizations and STS, and a stand-in of its account service."""
    url, accounts = organization
    regions = [{"RegionName": one, "RegionOptStatus": "ENABLED_BY_DEFAULT"} for one in ("us-east-1", "eu-west-1")]

    def answer(asked: Asked) -> Told:
        assert asked.path == "/listRegions"
        assert json.loads(asked.body) == {"RegionOptStatusContains": ["ENABLED", "ENABLED_BY_DEFAULT"]}
        return Told(200, json.dumps({"Regions": regions}).encode(), (("Connection", "close"),))

    with stub(answer) as account:
        for name, value in {
            **environment("", region=REGION),
            "AWS_ENDPOINT_URL_STS": url,
            "AWS_ENDPOINT_URL_ORGANIZATIONS": url,
            "AWS_ENDPOINT_URL_ACCOUNT": account.url,
        }.items():
            monkeypatch.setenv(name, value)
        found = find(AWS(), Where(organization=True, role="audit-read", external_id="agreed"))
    assert found.failures == []
    assert found.identity.account == MANAGEMENT
    assert {str(one) for one in found.places} == {
        f"{account}/{region}" for account in (MANAGEMENT, *accounts) for region in ("us-east-1", "eu-west-1")
    }
    keys = {one.account: one.aws.frozen_credentials() for one in found.places}
    assert keys[MANAGEMENT][:2] == (KEY_ID, SECRET), "its own account is entered without a role"
    assert all(keys[one][0].startswith("ASIA") and keys[one][2] for one in accounts)


def throttling(reply: dict[str, Any], refusals: int) -> Any:
    left = [refusals]

    def answer(_asked: Asked) -> Told:
        head = (("Content-Type", "application/x-amz-json-1.1"),)
        if left[0] > 0:
            left[0] -= 1
            return Told(400, b'{"__type":"ThrottlingException","message":"Rate exceeded"}', head)
        return Told(200, json.dumps(reply).encode(), head)

    return answer


def test_calls_that_are_too_many_are_made_again() -> None:
    with stub(throttling({"repositories": []}, 3)) as server:
        caller = AWS(endpoint=server.url, key=(KEY_ID, SECRET)).caller("ecr", REGION)
        assert caller.call("DescribeRepositories") == {"repositories": []}
        assert (caller.calls, caller.throttled) == (4, 3)
        caller.close()
        assert caller.pace.per_second is not None


def test_an_inventory_under_throttling_is_whole(shared: Estate, holdfast: Commands, tmp_path: Path) -> None:
    """A proxy before the server refuses every third call as too many."""
    count = itertools.count()

    def answer(asked: Asked) -> Told:
        if next(count) % 3 == 2:
            return Told(400, b'{"__type":"ThrottlingException","message":"Rate exceeded"}', (("Connection", "close"),))
        connection = http.client.HTTPConnection(shared.server.host, shared.server.port, timeout=20)
        with contextlib.closing(connection):
            connection.request(asked.method, asked.path, asked.body, dict(asked.headers))
            reply = connection.getresponse()
            kind = reply.headers["Content-Type"]
            return Told(reply.status, reply.read(), (("Content-Type", kind), ("Connection", "close")))

    out = tmp_path / "estate.jsonl"
    with stub(answer) as proxy:
        given = ("--region", REGION, "--no-policies", "--out", str(out), "--json")
        ran = holdfast("inventory", *given, HOLDFAST_ENDPOINT=proxy.url)
    assert ran.code == 0, ran.err
    told = ran.json()
    assert (told["repositories"], told["failures"]) == (10, [])
    assert told["throttled_calls"] >= 3
    assert read(out).is_complete


def item(account: str, name: str, **configuration: Any) -> str:
    return json.dumps(
        {
            "accountId": account,
            "awsRegion": REGION,
            "resourceId": name,
            "resourceName": name,
            "arn": f"arn:aws:ecr:{REGION}:{account}:repository/{name}",
            "configuration": {"RepositoryName": name, **configuration},
        }
    )


def test_an_aggregator_of_config_is_read(holdfast: Commands, tmp_path: Path) -> None:
    excluded = [
        {
            "ImageTagMutabilityExclusionFilterType": "WILDCARD",
            "ImageTagMutabilityExclusionFilterValue": "dev-*",
        }
    ]
    first = [
        item("111122223333", "a", ImageTagMutability="IMMUTABLE"),
        item(
            "111122223333",
            "b",
            ImageTagMutability="MUTABLE_WITH_EXCLUSION",
            ImageTagMutabilityExclusionFilters=excluded,
            ImageScanningConfiguration={"ScanOnPush": True},
        ),
        "not JSON",
    ]
    second = [item("444455556666", "c")]

    def answer(asked: Asked) -> Told:
        given = json.loads(asked.body)
        assert asked.headers["x-amz-target"] == "StarlingDoveService.SelectAggregateResourceConfig"
        assert given["ConfigurationAggregatorName"] == "org"
        pages: dict[Any, Any] = {
            None: {"Results": first, "NextToken": "1"},
            "1": {"Results": [], "NextToken": "2"},
            "2": {"Results": second},
        }
        return Told(200, json.dumps(pages[given.get("NextToken")]).encode())

    out = tmp_path / "estate.jsonl"
    with stub(answer) as server:
        ran = holdfast(
            "inventory", "--aggregator", "org", "--out", str(out), "--json", AWS_ENDPOINT_URL_CONFIG_SERVICE=server.url
        )
    assert ran.code == 3, ran.err
    found = read(out)
    assert [(one.account, one.name, one.mode, one.filters) for one in found.repositories] == [
        ("111122223333", "a", TagMutability.IMMUTABLE, ()),
        ("111122223333", "b", TagMutability.MUTABLE_WITH_EXCLUSION, ("dev-*",)),
        ("444455556666", "c", TagMutability.MUTABLE, ()),
    ]
    assert [one.code for one in found.failures] == ["Unreadable"]
    assert found.repositories[0].images is None, "Config knows no images"
    assert found.taken_at.tzinfo is not None
    assert found.taken_at <= datetime.now(UTC)
