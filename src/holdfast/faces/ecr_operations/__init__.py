"""Amazon ECR's operations, one short function each, in tables by area, joined into one keyed by the service model.

Parameters come checked against botocore's model and go to a use case; what it returns is put into the model's shapes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from holdfast.faces.ecr_operations.account import ACCOUNT
from holdfast.faces.ecr_operations.images import IMAGES
from holdfast.faces.ecr_operations.layers import LAYERS
from holdfast.faces.ecr_operations.lifecycle import LIFECYCLE
from holdfast.faces.ecr_operations.policies import POLICIES
from holdfast.faces.ecr_operations.pull_through import PULL_THROUGH
from holdfast.faces.ecr_operations.referrers import REFERRERS
from holdfast.faces.ecr_operations.replication import REPLICATION
from holdfast.faces.ecr_operations.repositories import REPOSITORIES
from holdfast.faces.ecr_operations.scanning import SCANNING
from holdfast.faces.ecr_operations.signing import SIGNING
from holdfast.faces.ecr_operations.storage import STORAGE
from holdfast.faces.ecr_operations.templates import TEMPLATES

if TYPE_CHECKING:
    from holdfast.faces.json_call import Operation

ECR: Final[dict[str, Operation]] = {
    **REPOSITORIES,
    **IMAGES,
    **LAYERS,
    **PULL_THROUGH,
    **TEMPLATES,
    **SCANNING,
    **SIGNING,
    **REFERRERS,
    **ACCOUNT,
    **REPLICATION,
    **STORAGE,
    **POLICIES,
    **LIFECYCLE,
}
"""Amazon ECR's operations that are offered; the model's others are answered with a clear refusal."""
