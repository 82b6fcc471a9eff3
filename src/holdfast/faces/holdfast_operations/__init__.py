"""Operations of our own, for what Amazon ECR has none: the past of tags, settings, care, principals.

Their shapes are `service/holdfast`, a service model like AWS's, so that boto3 and `aws` can call them too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from holdfast.faces.holdfast_operations.care import CARE
from holdfast.faces.holdfast_operations.identities import IDENTITIES
from holdfast.faces.holdfast_operations.ledger import LEDGER
from holdfast.faces.holdfast_operations.lifecycle import LIFECYCLE
from holdfast.faces.holdfast_operations.organizations import ORGANIZATIONS
from holdfast.faces.holdfast_operations.principals import PRINCIPALS
from holdfast.faces.holdfast_operations.quotas import QUOTAS
from holdfast.faces.holdfast_operations.replication import REPLICATION
from holdfast.faces.holdfast_operations.scans import SCANS
from holdfast.faces.holdfast_operations.settings import SETTINGS
from holdfast.faces.holdfast_operations.tags import TAGS
from holdfast.faces.holdfast_operations.upstreams import UPSTREAMS

if TYPE_CHECKING:
    from holdfast.faces.json_call import Operation

HOLDFAST: Final[dict[str, Operation]] = {
    **TAGS,
    **SETTINGS,
    **CARE,
    **LEDGER,
    **QUOTAS,
    **PRINCIPALS,
    **UPSTREAMS,
    **SCANS,
    **REPLICATION,
    **IDENTITIES,
    **ORGANIZATIONS,
    **LIFECYCLE,
}
"""Operations of our own model."""
