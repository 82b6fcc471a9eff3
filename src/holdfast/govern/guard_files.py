"""The kit of the guard as files: policies, templates for CloudFormation and Terraform, the rule of a hook, a page.

Pure, but for the templates that it reads from this package (`govern/kit`). This file alone decides what lies where in
the kit; what the policies say is `guard`'s.
"""

from __future__ import annotations

import json
from importlib import resources
from typing import TYPE_CHECKING, Any, Final

from holdfast.core.iam import PolicyInvalid
from holdfast.govern.guard import (
    CREATION_TEMPLATE,
    FILES,
    MAX_CONTROL_POLICY_CHARACTERS,
    Options,
    OptionsInvalid,
    Trial,
    Where,
    faults,
    parse,
    policies,
    requests,
    try_policies,
    written,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

OPTIONS_FILE: Final = "guard.json"
"""What the kit was made for; without it a kit could not be tried again."""

_KIND: Final = "holdfast/guard/1"

LIMITS: Final = (
    "AWS has no condition key for tag mutability: no policy can demand that a repository is created IMMUTABLE.",
    "A policy for AWS that names one all the same (ecr:imageTagMutability) denies every creation, or none.",
    "A request tag is a promise, no proof: what is created MUTABLE is mended by the automatic flip, seconds later.",
    "A vending role (--vending-role) leaves no such gap.",
    "Service control policies do not bind the management account and service-linked roles; keep no images there.",
    "Whoever pulls through a cache, or pushes to create, creates the repository himself, and without a request tag.",
    "A lifecycle policy that expires a tag frees its name, as deleting does (see --hold-lifecycle).",
    "Events may be lost: the Config rule finds what the automatic flip missed.",
)
"""What the kit cannot do on AWS, in words for its page and the command line."""


def kit(options: Options, region: str) -> dict[str, str]:
    """Return the files of the kit by path."""
    made = policies(options)
    files = {FILES[where]: written(document) for where, document in made.items()}
    fill = _filler(options, region)
    files |= {
        "aws/creation-template.json": written(CREATION_TEMPLATE),
        "cloudformation/organization.json": written(_organization(made)),
        "cloudformation/account.yaml": fill("account.cloudformation.yaml"),
        "cloudformation/hook.yaml": fill("hook.cloudformation.yaml"),
        "cloudformation/ecr-held.guard": fill("ecr-held.guard"),
        "terraform/organization/main.tf": fill("organization.tf")
        + (fill("organization-resource-control.tf") if Where.RESOURCE_CONTROL in made else ""),
        "terraform/account/main.tf": fill("account.tf"),
        OPTIONS_FILE: written({"kind": _KIND, "region": region, "options": options.document()}),
    }
    return files | {"README.md": _page(options, made, fill)}


def _filler(options: Options, region: str) -> Callable[[str], str]:
    governance_path, _, governance_name = f"/{options.governance_role}".rpartition("/")
    flip_path, _, flip_name = f"/{options.auto_flip_role}".rpartition("/")
    tag = f'\n#   tags                 = {{ {json.dumps(options.request_tag)} = "{options.request_value}" }}'
    values = {
        "REGION": region,
        "GOVERNANCE_NAME": governance_name,
        "GOVERNANCE_PATH": f"{governance_path}/",
        "AUTO_FLIP_NAME": flip_name,
        "AUTO_FLIP_PATH": f"{flip_path}/",
        "AUTO_FLIP": options.auto_flip_role,
        "MODES": ", ".join(f"'{mode}'" for mode in options.modes),
        "GOVERNANCE": options.governance_role,
        "ADMIN": options.admin_role,
        "CREATING": f"Only the role `{options.vending_role}` creates repositories."
        if options.vending_role
        else f"Creating needs the request tag `{options.request_tag}={options.request_value}`.",
        "LIMIT": f"{MAX_CONTROL_POLICY_CHARACTERS:,}",
        "TAGS": "" if options.vending_role else tag,
    }

    def fill(name: str) -> str:
        text = (resources.files("holdfast.govern") / "kit" / name).read_text("utf-8")
        for key, value in values.items():
            text = text.replace(f"%%{key}%%", value)
        return text

    return fill


def _organization(made: Mapping[Where, dict[str, Any]]) -> dict[str, Any]:
    """Return the CloudFormation template of the organisation's policies."""

    def resource(where: Where, name: str, kind: str, description: str) -> dict[str, Any]:
        return {
            "Type": "AWS::Organizations::Policy",
            "Properties": {
                "Name": name,
                "Description": description,
                "Type": kind,
                "Content": made[where],
                "TargetIds": {"Ref": "Targets"},
            },
        }

    found = {
        "HoldTags": resource(
            Where.SERVICE_CONTROL, "holdfast-hold-tags", "SERVICE_CONTROL_POLICY", "Keeps image tags held"
        )
    }
    if Where.RESOURCE_CONTROL in made:
        found["HoldFromOutside"] = resource(
            Where.RESOURCE_CONTROL,
            "holdfast-hold-from-outside",
            "RESOURCE_CONTROL_POLICY",
            "Keeps principals of other organisations from changing images",
        )
    return {
        "AWSTemplateFormatVersion": "2010-09-09",
        "Description": "Policies that keep image tags held; deploy in the management account",
        "Parameters": {
            "Targets": {
                "Type": "CommaDelimitedList",
                "Description": "Ids of units or accounts to guard; begin with a unit for trials",
            }
        },
        "Resources": found,
    }


# --- trying a kit ----------------------------------------------------------------------------------------------------


def try_kit(files: Mapping[str, str], options: Options) -> tuple[list[Trial], list[str]]:
    """Try the policies as their files have them now; return the trials, and what is wrong besides.

    A file that is missing or is no policy is a fault, and none of its requests holds.
    """
    documents, wrong = {}, []
    for where in dict.fromkeys(request.where for request in requests(options)):
        path = FILES[where]
        if path not in files:
            wrong.append(f"{path}: is missing")
            continue
        wrong += [f"{path}: {one}" for one in faults(where, files[path])]
        try:
            documents[where] = parse(where, files[path])
        except PolicyInvalid as error:
            wrong.append(f"{path}: {error}")
    return try_policies(documents, options), wrong


def read_options(text: str) -> Options:
    """Read what a kit was made for. Raises OptionsInvalid."""
    try:
        document = json.loads(text)
    except ValueError as error:
        raise OptionsInvalid(f"{OPTIONS_FILE} is no JSON: {error}.") from None
    if not isinstance(document, dict) or document.get("kind") != _KIND:
        raise OptionsInvalid(f"{OPTIONS_FILE} is none that `holdfast guard write` wrote.")
    return Options.read(document.get("options", {}))


# --- the page --------------------------------------------------------------------------------------------------------


def _page(options: Options, made: Mapping[Where, dict[str, Any]], fill: Callable[[str], str]) -> str:
    documents = {where: parse(where, document) for where, document in made.items()}
    lines = [fill("page.md").replace("%%LIMITS%%", "\n".join(f"- {limit}" for limit in LIMITS))]
    for trial in try_policies(documents, options):
        request = trial.request
        must = "pass" if request.passes else "not pass"
        lines.append(f"| {request.where} | {request.says} | `{request.action}` | {must} | {trial.by} |\n")
    return "".join(lines)
