"""Repository creation templates."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from holdfast.faces.json_call import MICROSECONDS, THROUGH, Call, Operation, Result

if TYPE_CHECKING:
    from holdfast.store.flows import Template


async def create_repository_creation_template(call: Call) -> Result:
    """Make a template."""
    prefix = call.parameters["prefix"]
    made = await call.use.templates.create(call.caller, call.registry, prefix, call.parameters, through=THROUGH)
    return _one(call, made)


async def update_repository_creation_template(call: Call) -> Result:
    """Change a template."""
    prefix = call.parameters["prefix"]
    changed = await call.use.templates.update(call.caller, call.registry, prefix, call.parameters, through=THROUGH)
    return _one(call, changed)


async def delete_repository_creation_template(call: Call) -> Result:
    """Delete a template."""
    gone = await call.use.templates.delete(call.caller, call.registry, call.parameters["prefix"], through=THROUGH)
    return _one(call, gone)


async def describe_repository_creation_templates(call: Call) -> Result:
    """Describe the templates of the prefixes named, or all of them by pages."""
    wanted = call.parameters.get("prefixes")
    if wanted:
        page, token = call.use.templates.described(call.caller, call.registry, wanted), None
    else:
        limit = call.limit()
        page = call.use.templates.page(call.caller, call.registry, after=call.after() or "", limit=limit + 1)
        token = call.next_token(page[limit - 1].prefix) if len(page) > limit else None
        page = page[:limit]
    return {
        "registryId": call.registry.account_id,
        "repositoryCreationTemplates": [_template(one) for one in page],
        "nextToken": token,
    }


def _one(call: Call, template: Template) -> Result:
    return {"registryId": call.registry.account_id, "repositoryCreationTemplate": _template(template)}


def _template(template: Template) -> Result:
    return {
        "imageTagMutability": "MUTABLE",
        "encryptionConfiguration": {"encryptionType": "AES256"},
        **template.settings,
        "prefix": template.prefix,
        "createdAt": template.created_at / MICROSECONDS,
        "updatedAt": template.updated_at / MICROSECONDS,
    }


TEMPLATES: Final[dict[str, Operation]] = {
    "CreateRepositoryCreationTemplate": create_repository_creation_template,
    "DeleteRepositoryCreationTemplate": delete_repository_creation_template,
    "DescribeRepositoryCreationTemplates": describe_repository_creation_templates,
    "UpdateRepositoryCreationTemplate": update_repository_creation_template,
}
"""Operation -> what performs it."""
