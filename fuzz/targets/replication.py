"""What fits ECR's model is a replication configuration that is kept and read back alike, or ParameterInvalid."""

from __future__ import annotations

from holdfast.core.errors import ParameterInvalid
from holdfast.core.replication import Destination, kept_configuration, parse_configuration
from holdfast.faces.service_model import InvalidParameter, SerializationError, ServiceModel

_ECR = ServiceModel.from_botocore("ecr")
_HERE = Destination("eu-central-1", "123456789012")
SEEDS = (
    b'{"replicationConfiguration":{"rules":[{"destinations":[{"region":"us-east-1","registryId":"123456789012"}]}]}}',
    (
        b'{"replicationConfiguration":{"rules":[{"destinations":[{"region":"eu-central-1","registryId":"123456789012"}],'
        b'"repositoryFilters":[{"filter":"prod","filterType":"PREFIX_MATCH"}]}]}}'
    ),
    b'{"replicationConfiguration":{"rules":[]}}',
)
WORDS = (b'{"destinations":[]},', b'"eu-central-1"', b'"repositoryFilters":[]', b'"registryId":"999999999999"', b"null")
COVERS = ("core/replication.py",)
PARSERS = ("core.replication.parse_configuration",)


def check(data: bytes) -> None:
    """Read it as the operation does."""
    try:
        document = _ECR.parse("PutReplicationConfiguration", data)["replicationConfiguration"]
    except (InvalidParameter, SerializationError):
        return
    try:
        read = parse_configuration(document, _HERE)
    except ParameterInvalid as error:
        assert error.message.isprintable()
        return
    assert not read.has(_HERE)
    assert kept_configuration(read.text()) == read
