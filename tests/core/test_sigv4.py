"""SigV4: what botocore signs verifies, what is changed afterwards does not, garbage is only ever a SigV4Error."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from unittest import mock

import botocore.auth
import pytest
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given
from hypothesis import strategies as st

from holdfast.core import sigv4

SECRET = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
KEY_ID = "AKIDEXAMPLE"
NOW = datetime(2026, 11, 23, 7, 15, 0, tzinfo=UTC)
TARGET = "AmazonEC2ContainerRegistry_V20150921.PutImage"
BODY = b'{"repositoryName": "team/app"}'

Fields = list[tuple[bytes, bytes]]


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def sign(
    method: str = "POST",
    target: str = "/",
    headers: dict[str, str] | None = None,
    body: bytes = BODY,
    *,
    token: str | None = None,
    region: str = "eu-west-1",
    service: str = "ecr",
    at: datetime = NOW,
) -> Fields:
    """Sign with botocore's own signer and return the header fields as they would arrive."""
    own = {"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": TARGET} if headers is None else headers
    request = AWSRequest(method, "http://127.0.0.1:5000" + target, headers=own, data=body)
    signer = botocore.auth.SigV4Auth(Credentials(KEY_ID, SECRET, token), service, region)
    with mock.patch.object(botocore.auth, "get_current_datetime", return_value=at.replace(tzinfo=None)):
        signer.add_auth(request)
    fields = [(name.encode(), value.encode()) for name, value in request.headers.items()]
    if "host" not in {name.lower() for name, _ in fields}:
        fields.append((b"Host", b"127.0.0.1:5000"))
    return fields


def check(
    fields: Fields,
    *,
    method: str = "POST",
    path: str = "/",
    query: str = "",
    body: bytes = BODY,
    secret: str | None = SECRET,
    now: datetime = NOW,
    region: str = "eu-west-1",
    service: str = "ecr",
    token: str | None = None,
) -> sigv4.SignedRequest:
    signed = sigv4.parse_authorization(method, path, query, fields)
    sigv4.verify(
        signed,
        secret,
        body_sha256=lambda: sha256(body),
        region=region,
        now=now,
        service=service,
        session_token=token,
    )
    return signed


def replaced(fields: Fields, name: str, value: bytes | None) -> Fields:
    """The fields with one header set to another value, or left out."""
    kept = [(key, old) for key, old in fields if key.lower() != name.lower().encode()]
    assert len(kept) == len(fields) - 1
    return kept if value is None else [*kept, (name.encode(), value)]


def authorization(fields: Fields) -> str:
    return next(value for name, value in fields if name == b"Authorization").decode()


def refusal(fields: Fields, **how: object) -> sigv4.SigV4Error:
    with pytest.raises(sigv4.SigV4Error) as caught:
        check(fields, **how)  # type: ignore[arg-type]
    assert caught.value.status == 400
    assert caught.value.message.isascii()
    assert caught.value.message.isprintable()
    return caught.value


# --- botocore is the oracle -----------------------------------------------------------------------------------------


def test_what_botocore_signs_verifies() -> None:
    signed = check(sign())
    assert signed.access_key_id == KEY_ID
    assert (signed.date, signed.region, signed.service) == ("20261123", "eu-west-1", "ecr")
    assert signed.signed_at == NOW
    assert signed.signed_headers == ("content-type", "host", "x-amz-date", "x-amz-target")
    assert signed.payload_sha256 is None
    assert signed.session_token is None


_ESCAPES = st.sampled_from(
    ["%2F", "%20", "%41", "%zz", "%", "%e1%88%b4", "..", ".", "//", "~", "+", "a", "=", ";", "@", ":"]
)
_PATHS = st.lists(_ESCAPES | st.text("abz09-_.~/%!$'()*", max_size=4), max_size=6).map(
    lambda parts: "/" + "".join(parts)
)
_QUERIES = st.lists(
    st.text("abcAB01%2=+-_.~/:", max_size=6).filter(lambda text: not text.lower().startswith("x-amz")),
    max_size=4,
).map("&".join)
_VALUES = st.text(st.sampled_from(" \tabcXYZ019,;=\"/()-_'"), max_size=30)
_NAMES = st.sampled_from(["X-Amz-Meta-A", "x-amz-zz", "Accept", "Content-Encoding", "X-Custom", "Pragma"])


@given(
    method=st.sampled_from(["GET", "POST", "PUT", "DELETE"]),
    path=_PATHS.filter(lambda path: not path.startswith("//")),
    query=_QUERIES,
    extra=st.dictionaries(_NAMES, _VALUES, max_size=4),
    body=st.binary(max_size=100),
    secret_token=st.none() | st.text("abcXYZ/+=", min_size=1, max_size=40),
)
def test_random_requests_agree_with_botocore(
    method: str, path: str, query: str, extra: dict[str, str], body: bytes, secret_token: str | None
) -> None:
    headers = {"X-Amz-Target": TARGET, **extra}
    fields = sign(method, f"{path}?{query}" if query else path, headers, body, token=secret_token)
    how = {"method": method, "path": path, "query": query, "token": secret_token}
    assert check(fields, body=body, **how).session_token == secret_token  # type: ignore[arg-type]
    error = refusal(fields, body=body + b" ", **how)
    assert error.code == "InvalidSignatureException"


def test_a_declared_payload_hash_is_compared_with_the_bytes_that_came() -> None:
    headers = {"X-Amz-Target": TARGET, "X-Amz-Content-SHA256": sha256(BODY)}
    assert check(sign(headers=headers)).payload_sha256 == sha256(BODY)
    lie = {"X-Amz-Target": TARGET, "X-Amz-Content-SHA256": sha256(b"other")}
    fields = sign(headers=lie)
    assert refusal(fields).code == "InvalidSignatureException"
    # The same lie, signed over the true hash: the header alone is false.
    signed = sigv4.parse_authorization("POST", "/", "", fields)
    key = sigv4.signing_key(SECRET, signed.date, signed.region, signed.service)
    header = authorization(fields)[:-64] + sigv4.signature_of(signed, sha256(BODY), key)
    assert refusal(replaced(fields, "Authorization", header.encode())).code == "InvalidSignatureException"


# --- values that AWS published --------------------------------------------------------------------------------------


def test_signing_key_of_the_aws_documentation() -> None:
    key = sigv4.signing_key(SECRET, "20150830", "us-east-1", "iam")
    assert key.hex() == "c4afb1cc5771d871763a393e44b703571b55cc28424d1a5e86da6ed3c154a4b9"


SUITE = [
    (
        "get-vanilla",
        "GET",
        "/",
        "",
        [],
        b"",
        "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
    ),
    (
        "get-vanilla-query-order-key-case",
        "GET",
        "/",
        "Param2=value2&Param1=value1",
        [],
        b"",
        "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
    ),
    (
        "post-vanilla",
        "POST",
        "/",
        "",
        [],
        b"",
        "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b",
    ),
    (
        "get-header-value-trim",
        "GET",
        "/",
        "",
        [(b"My-Header1", b" value1"), (b"My-Header2", b' "a   b   c"')],
        b"",
        "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736",
    ),
    (
        "post-x-www-form-urlencoded",
        "POST",
        "/",
        "",
        [(b"Content-Type", b"application/x-www-form-urlencoded")],
        b"Param1=value1",
        "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a",
    ),
]


@pytest.mark.parametrize(
    ("method", "path", "query", "extra", "body", "signature"),
    [case[1:] for case in SUITE],
    ids=[c[0] for c in SUITE],
)
def test_the_published_suite(method: str, path: str, query: str, extra: Fields, body: bytes, signature: str) -> None:
    names = sorted(["host", "x-amz-date", *(name.decode().lower() for name, _ in extra)])
    header = (
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, "
        f"SignedHeaders={';'.join(names)}, Signature={signature}"
    )
    fields = [
        (b"Host", b"example.amazonaws.com"),
        *extra,
        (b"X-Amz-Date", b"20150830T123600Z"),
        (b"Authorization", header.encode()),
    ]
    signed = sigv4.parse_authorization(method, path, query, fields, required_signed_headers=("host", "x-amz-date"))
    sigv4.verify(
        signed,
        SECRET,
        body_sha256=sha256(body),
        region="us-east-1",
        service="service",
        now=datetime(2015, 8, 30, 12, 40, tzinfo=UTC),
    )


# --- tampering ------------------------------------------------------------------------------------------------------


def test_every_signed_part_is_bound() -> None:
    fields = sign()
    bad = "InvalidSignatureException"
    assert refusal(fields, body=b"{}").code == bad
    assert refusal(fields, method="PUT").code == bad
    assert refusal(fields, path="/v2/").code == bad
    assert refusal(fields, query="a=b").code == bad
    assert refusal(fields, secret=SECRET[:-1]).code == bad
    assert refusal(replaced(fields, "Content-Type", b"text/plain")).code == bad
    assert refusal(replaced(fields, "X-Amz-Target", TARGET.replace("Put", "Delete").encode())).code == bad
    assert refusal(replaced(fields, "Host", b"127.0.0.1:5001")).code == bad
    assert refusal(replaced(fields, "X-Amz-Date", b"20261123T071501Z")).code == bad


@given(st.integers(0, 63), st.sampled_from("0123456789abcdef"))
def test_every_digit_of_the_signature_counts(position: int, digit: str) -> None:
    fields = sign()
    header = authorization(fields)
    at = len(header) - 64 + position
    changed = header[:at] + digit + header[at + 1 :]
    if changed == header:
        check(fields)
        return
    assert refusal(replaced(fields, "Authorization", changed.encode())).code == "InvalidSignatureException"


def test_dropped_or_added_headers() -> None:
    fields = sign()
    assert refusal(replaced(fields, "Host", None)).code == "IncompleteSignatureException"
    assert refusal(replaced(fields, "Content-Type", None)).code == "IncompleteSignatureException"
    for name in (b"X-Amz-Security-Token", b"x-amz-content-sha256", b"X-AMZ-Anything"):
        error = refusal([*fields, (name, b"x")])
        assert error.message == f"'{name.decode().lower()}' must be a 'SignedHeader' in the AWS Authorization."
    check(
        [
            *fields,
            (b"User-Agent", b"caf\xc3\xa9"),
            (b"X-Amzn-Trace-Id", b"Root=1"),
            (b"amz-sdk-request", b"1"),
        ]
    )


def test_the_required_headers_must_be_signed() -> None:
    assert "x-amz-target" in refusal(sign(headers={})).message
    fields = sign()
    for name in ("host", "x-amz-date", "x-amz-target"):
        header = authorization(fields).replace(f";{name}", "")
        error = refusal(replaced(fields, "Authorization", header.encode()))
        assert error.code == "IncompleteSignatureException"
        assert "must be a 'SignedHeader'" in error.message


def test_repeated_fields_are_refused() -> None:
    fields = sign()
    for name, value in fields:
        error = refusal([*fields, (name.swapcase(), value)])
        assert error.code == "IncompleteSignatureException"
        assert "more than once" in error.message


def test_the_session_token_must_be_the_expected_one() -> None:
    with_token = sign(token="tok/1=")
    assert check(with_token, token="tok/1=").session_token == "tok/1="
    for error in (
        refusal(with_token),
        refusal(with_token, token="other"),
        refusal(sign(), token="tok/1="),
        refusal(sign(), secret=None),
        refusal(sign(), secret=""),
    ):
        assert error.code == "UnrecognizedClientException"
        assert error.message == "The security token included in the request is invalid."


def test_an_empty_secret_never_verifies_even_when_signed_with_it() -> None:
    fields = sign()
    signed = sigv4.parse_authorization("POST", "/", "", fields)
    forged = sigv4.signature_of(signed, sha256(BODY), sigv4.signing_key("", "20261123", "eu-west-1", "ecr"))
    header = authorization(fields)[:-64] + forged
    assert (
        refusal(replaced(fields, "Authorization", header.encode()), secret=None).code == "UnrecognizedClientException"
    )


# --- payload modes, query credentials -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "mode",
    [
        "UNSIGNED-PAYLOAD",
        "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
        "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
        "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER",
        "",
        sha256(BODY).upper(),
        sha256(BODY) + "0",
    ],
)
def test_only_a_signed_payload_is_accepted(mode: str) -> None:
    fields = sign(headers={"X-Amz-Target": TARGET, "X-Amz-Content-SHA256": mode})
    assert refusal(fields).code == "InvalidSignatureException"


@pytest.mark.parametrize("name", ["X-Amz-Signature", "x-amz-credential", "X-Amz-Algorithm", "X-Amz-Security-Token"])
def test_credentials_in_the_query_are_refused(name: str) -> None:
    assert refusal(sign(target=f"/?{name}=x"), query=f"{name}=x").code == "IncompleteSignatureException"
    without = [field for field in sign() if field[0] != b"Authorization"]
    assert refusal(without, query=f"{name}=x").code == "MissingAuthenticationTokenException"


# --- time and place -------------------------------------------------------------------------------------------------


def test_the_clock_window_is_fifteen_minutes_both_ways() -> None:
    fields = sign()
    check(fields, now=NOW + timedelta(minutes=15))
    check(fields, now=NOW - timedelta(minutes=15))
    late = refusal(fields, now=NOW + timedelta(minutes=15, seconds=1))
    assert late.message == (
        "Signature expired: 20261123T071500Z is now earlier than 20261123T071501Z (20261123T073001Z - 15 min.)"
    )
    early = refusal(fields, now=NOW - timedelta(minutes=15, seconds=1))
    assert early.message == (
        "Signature not yet current: 20261123T071500Z is still later than 20261123T071459Z (20261123T065959Z + 15 min.)"
    )
    assert (late.code, early.code) == ("InvalidSignatureException",) * 2


def test_the_scope_must_be_ours() -> None:
    fields = sign()
    assert "valid region, not 'eu-west-1'" in refusal(fields, region="us-east-1").message
    assert refusal(fields, service="sts").message == "Credential should be scoped to correct service: 'sts'."
    header = authorization(fields)
    other_day = header.replace("/20261123/", "/20261122/")
    assert (
        "Date in Credential scope does not match"
        in refusal(replaced(fields, "Authorization", other_day.encode())).message
    )
    other_end = header.replace("aws4_request", "aws5_request")
    assert "valid terminator" in refusal(replaced(fields, "Authorization", other_end.encode())).message


def test_derive_and_the_body_are_not_asked_for_a_wrong_place_or_time() -> None:
    signed = sigv4.parse_authorization("POST", "/", "", sign())

    def never(*_: str) -> bytes:
        pytest.fail("asked")

    def never_body() -> str:
        pytest.fail("asked")

    for region, now in (("us-east-1", NOW), ("eu-west-1", NOW + timedelta(hours=1))):
        with pytest.raises(sigv4.InvalidSignature):
            sigv4.verify(signed, SECRET, body_sha256=never_body, region=region, now=now, derive=never)


@pytest.mark.parametrize(
    "date",
    [
        "2026112\u0663T071500Z",
        "20261123T071500",
        "20261123T071500z",
        "20261123T071500Z\n",
        "20261323T071500Z",
        "20261123T072461Z",
        "00000101T000000Z",
        "2026-11-23T07:15:00Z",
        "Mon, 23 Nov 2026 07:15:00 GMT",
        "",
        "9" * 5000,
    ],
)
def test_dates_are_ascii_digits_of_one_form(date: str) -> None:
    error = refusal(replaced(sign(), "X-Amz-Date", date.encode()))
    assert error.code == "IncompleteSignatureException"
    assert len(error.message) < 300


@pytest.mark.parametrize("date", ["00010101T000000Z", "99991231T235959Z"])
def test_the_ends_of_time(date: str) -> None:
    fields = replaced(sign(), "X-Amz-Date", date.encode())
    header = authorization(fields).replace("20261123", date[:8])
    error = refusal(replaced(fields, "Authorization", header.encode()))
    assert error.message.startswith("Signature ")


def test_a_lone_date_header_is_refused() -> None:
    fields = sign(headers={"Date": "Mon, 23 Nov 2026 07:15:00 GMT", "X-Amz-Target": TARGET})
    assert refusal(fields).code == "IncompleteSignatureException"


# --- hostile headers ------------------------------------------------------------------------------------------------

GOOD = authorization(sign())


def test_no_authorization_at_all() -> None:
    error = refusal([(b"Host", b"x")])
    assert (error.code, error.message) == (
        "MissingAuthenticationTokenException",
        "Missing Authentication Token",
    )


@pytest.mark.parametrize(
    "header",
    [
        b"",
        b" ",
        b"AWS4-HMAC-SHA256",
        b"AWS4-HMAC-SHA256 ",
        b"Basic QVdTOng=",
        b"Bearer x",
        b"AWS4-HMAC-SHA1 " + GOOD.encode(),
        b"AWS4-HMAC-SHA256 Credential",
        b"AWS4-HMAC-SHA256 Credential=a/20261123/r/s/aws4_request",
        b"AWS4-HMAC-SHA256 ,,,",
        GOOD.encode() + b", Signature=" + b"0" * 64,
        GOOD.encode() + b", Other=1",
        GOOD.encode() + b",",
        GOOD[:-1].encode(),
        GOOD.encode() + b"0",
        GOOD[:-64].encode() + GOOD[-64:].upper().encode(),
        GOOD.replace("content-type;host", "host;content-type").encode(),
        GOOD.replace("content-type;host", "Content-Type;host").encode(),
        GOOD.replace("content-type;host", "content-type;host;host").encode(),
        GOOD.replace("content-type;host", "authorization;content-type;host").encode(),
        GOOD.replace("content-type;host", ";content-type;host").encode(),
        GOOD.replace("content-type;host", ";".join(f"a{n:03}" for n in range(200))).encode(),
        GOOD.replace(KEY_ID, "").encode(),
        GOOD.replace(KEY_ID, "A B").encode(),
        GOOD.replace(KEY_ID, "\u0661").encode(),
        GOOD.replace("20261123", "2026112").encode(),
        GOOD.replace("/ecr/", "//").encode(),
        GOOD.replace("/ecr/", "/ecr/x/").encode(),
        GOOD.encode() + b" " * 10_000,
        b"A" * 1_000_000,
        b"\xff\xfe",
        b"AWS4-HMAC-SHA256\x00",
    ],
)
def test_malformed_authorization(header: bytes) -> None:
    error = refusal(replaced(sign(), "Authorization", header))
    assert error.code == "IncompleteSignatureException"
    assert len(error.message) < 300


def test_signed_values_are_printable_ascii() -> None:
    for value in (b"caf\xc3\xa9", b"a\x00b", b"a\rb", b"a\x1cb"):
        assert refusal(replaced(sign(), "Content-Type", value)).code == "IncompleteSignatureException"


def test_targets_that_cannot_be_signed() -> None:
    for path in ("", "x", "/\u1234", "/\ud800", "/\n", "/" + "a" * 100_000):
        assert refusal(sign(), path=path).code == "IncompleteSignatureException"
    for query in ("\u1234", "a\n", "a" * 100_000):
        assert refusal(sign(), query=query).code == "IncompleteSignatureException"
    for method in ("", "post", "POST ", "P" * 50, "P\u00d6ST"):
        assert refusal(sign(), method=method).code == "IncompleteSignatureException"


def test_what_may_be_logged_shows_no_signature_and_no_token() -> None:
    text = repr(check(sign(token="very-secret"), token="very-secret"))
    assert "very-secret" not in text
    assert GOOD[-64:] not in text


_FRAGMENTS = st.sampled_from(
    [
        "AWS4-HMAC-SHA256 ",
        "Credential=",
        "a/20261123/r/ecr/aws4_request",
        "SignedHeaders=",
        "host;x-amz-date;x-amz-target",
        "Signature=",
        "0" * 64,
        ", ",
        ",",
        "/",
        ";",
        "=",
        "٣",
        "20261123T071500Z",
        "\x00",
        "�",
    ]
)


@given(
    method=st.text(max_size=5) | st.just("POST"),
    path=st.text(max_size=10) | st.just("/"),
    query=st.text(max_size=10),
    header=st.lists(_FRAGMENTS | st.text(max_size=3), max_size=12).map("".join),
    date=st.text(max_size=20) | st.just("20261123T071500Z"),
    other=st.lists(st.tuples(st.binary(max_size=12), st.binary(max_size=12)), max_size=4),
)
def test_garbage_is_a_sigv4_error_and_nothing_else(
    method: str, path: str, query: str, header: str, date: str, other: Fields
) -> None:
    fields = [
        (b"Authorization", header.encode("utf-8", "surrogatepass")),
        (b"X-Amz-Date", date.encode("utf-8", "surrogatepass")),
        (b"Host", b"h"),
        (b"X-Amz-Target", b"t"),
        *other,
    ]
    with pytest.raises(sigv4.SigV4Error):
        check(fields, method=method, path=path, query=query)
