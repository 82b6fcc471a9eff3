"""A client that carries out the model's operations over HTTP, and the few images that all of it is about."""

from __future__ import annotations

import http.client
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, cast

from images import OCI_CONFIG, Image, image, index, sha256
from json_api import HOLDFAST_TARGET, Api
from running import KEY_ID, SECRET, Client, basic
from torture.model import Answer, Belief, Known, Op, State, Violation

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Iterator

    from running import RunningServer

REPOSITORIES = ("t/a", "t/b")
SIGNATURES = "sha256-" + "ab" * 32 + ".sig"
TAGS = ("v1", "v2", "dev-1", SIGNATURES)
MODES: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("IMMUTABLE", ()),
    ("MUTABLE", ()),
    ("IMMUTABLE_WITH_EXCLUSION", ("dev-*",)),
    ("MUTABLE_WITH_EXCLUSION", ("v*", "sha256-*")),
)

_CONFIG = json.dumps({"architecture": "amd64"}).encode()
LAYERS = tuple(bytes([number]) * 3_000 for number in range(4))


def _images() -> tuple[Image, ...]:
    one = image(LAYERS[0], config=_CONFIG)
    grown = image(LAYERS[0], LAYERS[1], config=_CONFIG)
    other = image(LAYERS[2], config=_CONFIG)
    more = image(LAYERS[3], LAYERS[0], config=_CONFIG)
    return one, grown, other, more, index(one, grown)


IMAGES = {one.digest: one for one in _images()}
DIGESTS = tuple(IMAGES)
BLOBS = {sha256(content): content for content in (*LAYERS, _CONFIG)}
KNOWN = {
    one.digest: Known(
        one.digest,
        frozenset(map(sha256, one.blobs)),
        frozenset(child.digest for child in one.children),
        frozenset(map(sha256, one.blobs[1:])) | frozenset(child.digest for child in one.children),
        is_index=bool(one.children),
    )
    for one in IMAGES.values()
}
assert OCI_CONFIG


class NoAnswer(Exception):
    """The server went away, or failed (5xx), before it said what became of the request."""


@dataclass
class User:
    """The administrator, at a server that listens somewhere."""

    host: str
    port: int
    sent: int = 0
    ahead_seconds: float = 0.0
    """By how much the server's clock is ahead of ours: signatures bear its time."""
    on_progress: Callable[[str, int], None] = lambda _upload, _bytes: None
    """Hears what each PATCH told."""
    _oci: Client = field(init=False)
    _api: Api = field(init=False)

    def __post_init__(self) -> None:
        self._oci = Client(self.host, self.port, basic(KEY_ID, SECRET))
        self._api = Api(
            cast("RunningServer", self), now=lambda: datetime.now(UTC) + timedelta(seconds=self.ahead_seconds)
        )

    def anonymous(self) -> Client:
        """Return a client without credentials: those of the API are in its signatures."""
        return Client(self.host, self.port, None)

    def close(self) -> None:
        """Close this thread's connections."""
        self._oci.close()
        self._api.close()

    def perform(self, op: Op) -> Answer:
        """Carry out an operation and return the answer; raises NoAnswer when there is none to rely on."""
        try:
            answer: Answer = getattr(self, "_" + op.kind)(op)
        except (OSError, http.client.HTTPException) as error:
            raise NoAnswer(str(error)) from error
        return answer

    def http(self, method: str, path: str, body: bytes | None = None, **headers: str) -> Any:
        """Send a request to the OCI face."""
        self.sent += 1
        answer = self._oci(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
        if answer.status >= 500:
            raise NoAnswer(answer.body.decode("utf-8", "replace")[:300])
        return answer

    def _call(self, operation: str, **parameters: Any) -> Answer:
        self.sent += 1
        reply = self._api(operation, parameters)
        if reply.status >= 500 or b"ServiceUnavailable" in reply.body[:200]:
            raise NoAnswer(reply.body.decode("utf-8", "replace")[:300])
        return (reply.status,) if reply.status < 400 else (reply.status, reply.code)

    # --- repositories ------------------------------------------------------------------------------------------------

    def _create(self, op: Op) -> Answer:
        return self._call("CreateRepository", repositoryName=op.repository, **_settings(op))

    def _mode(self, op: Op) -> Answer:
        return self._call("PutImageTagMutability", repositoryName=op.repository, **_settings(op))

    def _delete_repository(self, op: Op) -> Answer:
        return self._call("DeleteRepository", repositoryName=op.repository, force=op.how == "force")

    def _collect(self, _op: Op) -> Answer:
        return self._call(f"{HOLDFAST_TARGET}.CollectGarbage")

    # --- blobs -------------------------------------------------------------------------------------------------------

    def _push_blob(self, op: Op) -> Answer:
        content, start = BLOBS[op.digest], f"/v2/{op.repository}/blobs/uploads/"
        if op.how != "parts":
            return (self.http("POST", f"{start}?digest={op.digest}", content).status,)
        begun = self.http("POST", start)
        if begun.status != 202:
            return (begun.status,)
        location, middle = begun.headers["Location"], len(content) // 2
        for first, last in ((0, middle), (middle, len(content) - 10)):
            spans = f"{first}-{last - 1}"
            patched = self.http("PATCH", location, content[first:last], Content_Range=spans)
            if (patched.status, patched.headers["Range"]) != (202, f"0-{last - 1}"):
                msg = f"{op}: a part was answered {patched.status}, Range {patched.headers['Range']}"
                raise Violation(msg)
            self.on_progress(patched.headers["Docker-Upload-UUID"], last)
            told = self.http("GET", location)
            if (told.status, told.headers["Range"]) != (204, f"0-{last - 1}"):
                msg = f"{op}: an upload of {last} bytes was told {told.status}, Range {told.headers['Range']}"
                raise Violation(msg)
            location = patched.headers["Location"]
        return (self.http("PUT", f"{location}?digest={op.digest}", content[-10:]).status,)

    def _push_wrong(self, op: Op) -> Answer:
        content = BLOBS[op.digest][:-1] + b"!"
        begun = self.http("POST", f"/v2/{op.repository}/blobs/uploads/")
        if begun.status != 202:
            return (begun.status,)
        self.http("PATCH", begun.headers["Location"], content[:1_000])
        return (self.http("PUT", f"{begun.headers['Location']}?digest={op.digest}", content[1_000:]).status,)

    def _mount(self, op: Op) -> Answer:
        path = f"/v2/{op.repository}/blobs/uploads/?mount={op.digest}&from={op.source}"
        answer = self.http("POST", path)
        if answer.status == 202:
            self.http("DELETE", answer.headers["Location"])
        return (answer.status,)

    def _head_blob(self, op: Op) -> Answer:
        return (self.http("HEAD", f"/v2/{op.repository}/blobs/{op.digest}").status,)

    def _get_blob(self, op: Op) -> Answer:
        answer = self.http("GET", f"/v2/{op.repository}/blobs/{op.digest}")
        return (200, sha256(answer.body)) if answer.status == 200 else (answer.status,)

    def _delete_blob(self, op: Op) -> Answer:
        return (self.http("DELETE", f"/v2/{op.repository}/blobs/{op.digest}").status,)

    # --- manifests and tags ------------------------------------------------------------------------------------------

    def _put(self, op: Op) -> Answer:
        pushed, base = IMAGES[op.digest], f"/v2/{op.repository}/manifests/"
        if op.how == "ecr" and len(op.tags) == 1:
            return self._put_image(op, pushed)
        if op.how == "query" or len(op.tags) != 1:
            query = "&".join(f"tag={tag}" for tag in op.tags)
            path = base + op.digest + (f"?{query}" if query else "")
        else:
            path = base + op.tags[0]
        answer = self.http("PUT", path, pushed.manifest, Content_Type=pushed.media_type)
        return (201, str(answer.headers["Docker-Content-Digest"])) if answer.status == 201 else (answer.status,)

    def _put_image(self, op: Op, pushed: Image) -> Answer:
        said = self._call(
            "PutImage",
            repositoryName=op.repository,
            imageManifest=pushed.manifest.decode(),
            imageManifestMediaType=pushed.media_type,
            imageTag=op.tags[0],
        )
        told: dict[object, Answer] = {
            "ImageTagAlreadyExistsException": (409,),
            "ImageAlreadyExistsException": (201, op.digest),
            "LayersNotFoundException": (400,),
            "ReferencedImagesNotFoundException": (400,),
            "RepositoryNotFoundException": (404,),
        }
        return (201, op.digest) if said == (200,) else told.get(said[-1], said)

    def _get(self, op: Op) -> Answer:
        answer = self.http(op.how or "GET", f"/v2/{op.repository}/manifests/{op.tags[0]}")
        if answer.status != 200:
            return (answer.status,)
        digest = str(answer.headers["Docker-Content-Digest"])
        if op.how != "HEAD" and sha256(answer.body) != digest:
            msg = f"{op}: the bytes served do not hash to {digest}"
            raise Violation(msg)
        return (200, digest)

    def _get_manifest(self, op: Op) -> Answer:
        answer = self.http("GET", f"/v2/{op.repository}/manifests/{op.digest}")
        return (200, sha256(answer.body)) if answer.status == 200 else (answer.status,)

    def _tags(self, op: Op) -> Answer:
        answer = self.http("GET", f"/v2/{op.repository}/tags/list")
        return (200, tuple(answer.json()["tags"])) if answer.status == 200 else (answer.status,)

    def _delete_tag(self, op: Op) -> Answer:
        return (self.http("DELETE", f"/v2/{op.repository}/manifests/{op.tags[0]}").status,)

    def _delete_manifest(self, op: Op) -> Answer:
        return (self.http("DELETE", f"/v2/{op.repository}/manifests/{op.digest}").status,)


def _settings(op: Op) -> dict[str, Any]:
    filters = [{"filterType": "WILDCARD", "filter": one} for one in op.filters]
    told = {"imageTagMutabilityExclusionFilters": filters} if filters else {}
    return {"imageTagMutability": op.mode, **told}


# --- what a user does ------------------------------------------------------------------------------------------------


def fresh() -> Belief:
    """Return what is believed of a registry with nothing in it."""
    return Belief([State(KNOWN)])


def act(user: User, belief: Belief, op: Op) -> bool:
    """Carry out an operation and learn from it; say whether it was answered."""
    try:
        answer = user.perform(op)
    except NoAnswer:
        belief.unknown(op)
        return False
    belief.certain(op, answer)
    return True


def look_at_everything(user: User, belief: Belief) -> None:
    """Read all that the universe can hold, and compare: what is believed is one state, then."""
    for repository in REPOSITORIES:
        for op in (
            Op("tags", repository),
            *(Op("get", repository, tags=(tag,)) for tag in TAGS),
            *(Op("get_manifest", repository, digest) for digest in DIGESTS),
            *(Op("get_blob", repository, digest) for digest in BLOBS),
        ):
            belief.certain(op, user.perform(op))


def parts_of(repository: str, digest: str, how: str = "") -> Iterator[Op]:
    """List what has to be pushed before a manifest."""
    for blob in IMAGES[digest].blobs:
        yield Op("push_blob", repository, sha256(blob), how=how)
    for child in IMAGES[digest].children:
        yield from parts_of(repository, child.digest, how)
        yield Op("put", repository, child.digest)


def day(chance: random.Random) -> list[Op]:
    """Make up a day of a registry in which every operation that stores anything occurs."""
    one, grown, other, more, both = DIGESTS
    first, second = chance.sample(REPOSITORIES, 2)
    mode, filters = chance.choice(MODES)
    shared = sha256(LAYERS[0])
    return [
        Op("create", first, mode=mode, filters=filters),
        Op("create", second, mode="MUTABLE"),
        Op("push_wrong", first, shared),
        *parts_of(first, both, "parts"),
        Op("push_wrong", first, sha256(LAYERS[3])),
        Op("push_blob", second, sha256(LAYERS[1])),
        Op("pass_time", hours=15),
        Op("collect"),
        Op("head_blob", second, sha256(LAYERS[1])),
        Op("pass_time", hours=15),
        Op("collect"),
        Op("get_blob", second, sha256(LAYERS[1])),
        Op("put", first, both, ("v1",)),
        Op("put", first, grown, ("v1",), how=chance.choice(("", "ecr", "query"))),
        Op("put", first, one, ("v2", "dev-1")),
        Op("put", first, one, (SIGNATURES,)),
        Op("put", first, grown, (SIGNATURES,)),
        Op("mount", second, shared, source=first),
        Op("mount", second, sha256(_CONFIG), source=first),
        Op("put", second, one, ("v1",)),
        Op("get", second, tags=("v1",)),
        Op("get", second, tags=("v1",)),
        *parts_of(second, other),
        Op("put", second, other, ("v1",)),
        Op("get", second, tags=("v1",)),
        Op("tags", second),
        Op("mode", second, mode="IMMUTABLE"),
        Op("put", second, one, ("v1",)),
        Op("delete_tag", first, tags=("v2",)),
        Op("put", first, grown, ("v2",)),
        Op("put", first, one, ("v2",)),
        Op("delete_manifest", first, both),
        Op("put", first, both, ("v1",)),
        Op("put", first, one, ("v1",)),
        Op("delete_manifest", first, both),
        Op("delete_manifest", second, other),
        Op("put", second, one, ("v1",)),
        *parts_of(first, more),
        Op("delete_blob", first, sha256(LAYERS[3])),
        Op("pass_time", hours=35),
        Op("collect"),
        *parts_of(second, other),
        Op("put", second, other, ("v1",)),
        Op("delete_repository", first, how="force"),
        Op("create", first, mode="IMMUTABLE"),
        *parts_of(first, other),
        Op("put", first, other, ("v1",)),
        Op("pass_time", hours=35),
        Op("collect"),
    ]


_OFTEN = {
    "create": 1,
    "mode": 1,
    "delete_repository": 1,
    "push_blob": 1,
    "push_wrong": 1,
    "mount": 1,
    "head_blob": 1,
    "get_blob": 1,
    "delete_blob": 1,
    "collect": 1,
    "put": 4,
    "get": 2,
    "get_manifest": 1,
    "tags": 1,
    "delete_tag": 2,
    "delete_manifest": 1,
}


def any_op(chance: random.Random) -> Op:
    """Make up an operation of any kind."""
    kind = chance.choices(tuple(_OFTEN), tuple(_OFTEN.values()))[0]
    repository = chance.choice(REPOSITORIES)
    mode, filters = chance.choice(MODES)
    tags = tuple(chance.sample(TAGS, 1 if kind != "put" else chance.choice((0, 1, 1, 1, 2))))
    about_blob = kind in {"push_blob", "push_wrong", "mount", "head_blob", "get_blob", "delete_blob"}
    return Op(
        kind,
        repository,
        chance.choice(tuple(BLOBS) if about_blob else DIGESTS),
        tags,
        mode,
        filters,
        source=chance.choice(REPOSITORIES),
        how={"push_blob": chance.choice(("", "parts")), "put": chance.choice(("", "ecr", "query"))}.get(kind, ""),
    )
