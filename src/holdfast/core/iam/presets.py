"""Ready-made documents: what most people are given, and the guardrail that guards nothing."""

from __future__ import annotations

from typing import Any, Final

_READ_ACTIONS: Final = [
    "ecr:GetAuthorizationToken",
    "ecr:BatchCheckLayerAvailability",
    "ecr:GetDownloadUrlForLayer",
    "ecr:GetRepositoryPolicy",
    "ecr:DescribeRepositories",
    "ecr:ListImages",
    "ecr:DescribeImages",
    "ecr:BatchGetImage",
    "ecr:GetLifecyclePolicy",
    "ecr:GetLifecyclePolicyPreview",
    "ecr:ListTagsForResource",
    "ecr:DescribeImageScanFindings",
]
_PUSH_ACTIONS: Final = [
    "ecr:InitiateLayerUpload",
    "ecr:UploadLayerPart",
    "ecr:CompleteLayerUpload",
    "ecr:PutImage",
]

ADMINISTRATOR: Final[dict[str, Any]] = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": ["ecr:*", "holdfast:*", "*"], "Resource": "*"}],
}
"""Everything, present and to come."""

POWER_USER: Final[dict[str, Any]] = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": [*_READ_ACTIONS, *_PUSH_ACTIONS], "Resource": "*"}],
}
"""Pull and push, no deleting and no settings: as AmazonEC2ContainerRegistryPowerUser."""

READ_ONLY: Final[dict[str, Any]] = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": list(_READ_ACTIONS), "Resource": "*"}],
}
"""Pull and look: as AmazonEC2ContainerRegistryReadOnly."""

FULL_GUARDRAIL: Final = "FullAWSAccess"
"""Name of the guardrail that allows everything: each new account and unit begins with it. As in AWS Organizations."""

_FULL_ACCESS: Final[dict[str, Any]] = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": ["ecr:*"], "Resource": "*"}],
}

MANAGED: Final[dict[str, dict[str, Any]]] = {
    "arn:aws:iam::aws:policy/AdministratorAccess": ADMINISTRATOR,
    "arn:aws:iam::aws:policy/AmazonEC2ContainerRegistryFullAccess": _FULL_ACCESS,
    "arn:aws:iam::aws:policy/AmazonEC2ContainerRegistryPowerUser": POWER_USER,
    "arn:aws:iam::aws:policy/AmazonEC2ContainerRegistryReadOnly": READ_ONLY,
}
"""Policies that are always there to be attached, under AWS's own ARNs."""
