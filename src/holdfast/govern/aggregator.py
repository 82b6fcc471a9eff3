"""The inventory by an aggregator of AWS Config: one query for every account and region, and no role to assume.

This file alone knows the query. What Config records is how a repository is set; it knows no images, no registries and
no creation templates, so these stay None. What it knows may be minutes old.

Source: AWS Config, SelectAggregateResourceConfig, and the schema of AWS::ECR::Repository.
"""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING, Final

from holdfast.govern import reading
from holdfast.govern.failing import failure_of

if TYPE_CHECKING:
    from holdfast.client.aws import AWS
    from holdfast.govern.inventory import Sink
    from holdfast.govern.places import Where

PAGE: Final = 100
"""The most that Config gives at once."""

QUERY: Final = (
    "SELECT accountId, awsRegion, resourceId, resourceName, arn, configuration "
    "WHERE resourceType = 'AWS::ECR::Repository'"
)


def read(aws: AWS, name: str, where: Where, sink: Sink) -> None:
    """Read every repository that an aggregator knows, in the accounts and regions that are wanted.

    Raises APIError, APIUnreachable, CallInvalid when the aggregator itself cannot be asked.
    """
    caller = aws.caller("config", aws.region or "us-east-1")
    parameters = {"ConfigurationAggregatorName": name, "Expression": QUERY, "Limit": PAGE}
    with contextlib.closing(caller):
        for page in caller.pages("SelectAggregateResourceConfig", "Results", **parameters):
            for text in page:
                _one(text, where, sink)


def _one(text: str, where: Where, sink: Sink) -> None:
    try:
        record = reading.of_config(json.loads(text))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        sink.add(failure_of("*", "*", "config:SelectAggregateResourceConfig", error))
        return
    is_account = not where.accounts or record.account in where.accounts
    if is_account and (not where.regions or record.region in where.regions):
        sink.add(record)
