"""Terraform's AWS provider: it makes an immutable repository, finds nothing to change afterwards, and removes it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from . import judging
from .clients import TERRAFORM, home
from .drivers import needed
from .service import ACCOUNT_ID, REGION

if TYPE_CHECKING:
    from .conftest import Benches
    from .images import Images
    from .programs import Outcome
    from .report import Report
    from .service import Registry
    from .workbench import Workbench

pytestmark = pytest.mark.interop

TAG = "1.0"
STEP_SECONDS: Final = 600.0
"""Each step starts a provider of half a gigabyte, several times."""
NO_PROVIDER: Final = (
    "no AWS provider: name a folder of providers in HOLDFAST_TEST_TERRAFORM_PLUGINS (as `terraform init -plugin-dir` "
    "wants it), or a CLI configuration with a mirror in TF_CLI_CONFIG_FILE"
)
CONFIGURATION: Final = """
terraform {{
  required_providers {{
    aws = {{ source = "hashicorp/aws" }}
  }}
}}
provider "aws" {{
  region                      = "{region}"
  access_key                  = "{user}"
  secret_key                  = "{password}"
  skip_credentials_validation = true
  skip_metadata_api_check     = true
  skip_requesting_account_id  = true
  endpoints {{
    ecr = "{url}"
  }}
}}
resource "aws_ecr_repository" "held" {{
  name                 = "{repository}"
  image_tag_mutability = "{mutability}"
  force_delete         = true
  tags                 = {{ team = "interop" }}
}}
"""

IMAGE: Final = """
data "aws_ecr_image" "one" {{
  repository_name = aws_ecr_repository.held.name
  image_tag       = "{tag}"
}}
output "one" {{
  value = data.aws_ecr_image.one.image_digest
}}
"""
"""What the provider reads of an image of the repository."""

SETTINGS: Final = """
provider "aws" {{
  region                      = "{region}"
  access_key                  = "{user}"
  secret_key                  = "{password}"
  skip_credentials_validation = true
  skip_metadata_api_check     = true
  endpoints {{
    ecr = "{url}"
    sts = "{url}"
  }}
}}
resource "aws_ecr_repository" "held" {{
  name                 = "interop/settings"
  image_tag_mutability = "IMMUTABLE"
  force_delete         = true
  image_scanning_configuration {{
    scan_on_push = true
  }}
}}
resource "aws_ecr_lifecycle_policy" "held" {{
  repository = aws_ecr_repository.held.name
  policy = jsonencode({{
    rules = [{{
      rulePriority = 1
      description  = "Untagged images go after two weeks"
      selection    = {{ tagStatus = "untagged", countType = "sinceImagePushed", countUnit = "days", countNumber = 14 }}
      action       = {{ type = "expire" }}
    }}]
  }})
}}
resource "aws_ecr_repository_policy" "held" {{
  repository = aws_ecr_repository.held.name
  policy = jsonencode({{
    Version = "2012-10-17"
    Statement = [{{ Sid = "pull", Effect = "Allow", Principal = "*", Action = ["ecr:BatchGetImage"] }}]
  }})
}}
resource "aws_ecr_registry_policy" "all" {{
  policy = jsonencode({{
    Version = "2012-10-17"
    Statement = [{{
      Sid       = "replicate"
      Effect    = "Allow"
      Principal = {{ AWS = "arn:aws:iam::{account}:root" }}
      Action    = ["ecr:ReplicateImage"]
      Resource  = ["arn:aws:ecr:{region}:{account}:repository/*"]
    }}]
  }})
}}
resource "aws_ecr_registry_scanning_configuration" "rules" {{
  scan_type = "BASIC"
  rule {{
    scan_frequency = "SCAN_ON_PUSH"
    repository_filter {{
      filter      = "interop/*"
      filter_type = "WILDCARD"
    }}
  }}
}}
resource "aws_ecr_account_setting" "scanning" {{
  name  = "BASIC_SCAN_TYPE_VERSION"
  value = "AWS_NATIVE"
}}
resource "aws_ecr_replication_configuration" "copies" {{
  replication_configuration {{
    rule {{
      destination {{
        region      = "eu-west-1"
        registry_id = "{account}"
      }}
      repository_filter {{
        filter      = "interop"
        filter_type = "PREFIX_MATCH"
      }}
    }}
  }}
}}
resource "aws_ecr_pull_through_cache_rule" "cache" {{
  ecr_repository_prefix = "interop-cache"
  upstream_registry_url = "public.ecr.aws"
}}
resource "aws_ecr_repository_creation_template" "made" {{
  prefix               = "interop-cache"
  image_tag_mutability = "IMMUTABLE"
  applied_for          = ["PULL_THROUGH_CACHE"]
}}
data "aws_ecr_repository" "held" {{
  name = aws_ecr_repository.held.name
}}
data "aws_ecr_repositories" "all" {{
  depends_on = [aws_ecr_repository.held]
}}
data "aws_ecr_authorization_token" "login" {{
}}
output "login" {{
  value = data.aws_ecr_authorization_token.login.user_name
}}
data "aws_ecr_pull_through_cache_rule" "cache" {{
  ecr_repository_prefix = aws_ecr_pull_through_cache_rule.cache.ecr_repository_prefix
}}
data "aws_ecr_repository_creation_template" "made" {{
  prefix = aws_ecr_repository_creation_template.made.prefix
}}
"""
"""Other resources of the provider. Those of a registry are named by its account, which the provider asks of STS."""


def test_terraform_sets_a_registry_up(bench_for: Benches, registry: Registry, report: Report) -> None:
    """Apply, plan without a difference, destroy: the registry's own settings, policies, rules, templates."""
    bench = bench_for(TERRAFORM)
    row = report.row("terraform, AWS provider", bench.found.version, "settings of a registry")
    text = SETTINGS.format(
        region=REGION, account=ACCOUNT_ID, user=registry.user, password=registry.password, url=registry.url
    )
    (bench.folder / "main.tf").write_text(text)
    row.version += f", provider {init(bench, report)}"
    row.log_in = "keys in the provider"
    applied = needed(terraform(bench, "apply", "-auto-approve")).stdout
    assert "9 added, 0 changed, 0 destroyed" in applied
    assert 'login = "AWS"' in applied
    planned = terraform(bench, "plan", "-detailed-exitcode")
    assert planned.exit_code == 0, f"something to change right after apply: {planned.printed}"
    assert "9 destroyed" in needed(terraform(bench, "destroy", "-auto-approve")).stdout
    row.first_push, row.same_again, row.pulled = "applied", "no difference", "destroyed"


def test_terraform_makes_a_repository_that_holds(
    bench_for: Benches, images: Images, registry: Registry, report: Report
) -> None:
    """Apply, plan without a difference, a tag that holds until Terraform makes the repository mutable, destroy."""
    bench = bench_for(TERRAFORM)
    row = report.row("terraform, AWS provider", bench.found.version, "repository")
    repository = "interop/terraform"
    configure(bench, repository, "IMMUTABLE")
    row.version += f", provider {init(bench, report)}"

    row.log_in = "keys in the provider"
    needed(terraform(bench, "apply", "-auto-approve"))
    planned = terraform(bench, "plan", "-detailed-exitcode")
    assert planned.exit_code == 0, f"something to change right after apply: {planned.printed}"
    assert registry.push(repository, TAG, images.first).status == 201
    stored = registry.manifest(repository, TAG)
    row.first_push = "applied"
    with (bench.folder / "main.tf").open("a") as text:
        text.write(IMAGE.format(tag=TAG))
    applied = needed(terraform(bench, "apply", "-auto-approve")).stdout
    assert f'one = "{images.first.digest}"' in applied
    overwriting = judging.as_outcome(registry.push(repository, TAG, images.second))
    judging.refused(row, overwriting, repository, TAG)
    judging.unmoved(registry, repository, TAG, stored)
    row.same_again = "no difference"
    configure(bench, repository, "MUTABLE")
    assert "0 added, 1 changed, 0 destroyed" in needed(terraform(bench, "apply", "-auto-approve")).stdout
    judging.unmoved(registry, repository, TAG, stored)
    assert registry.push(repository, TAG, images.second).status == 201
    needed(terraform(bench, "destroy", "-auto-approve"))
    row.pulled = "destroyed"
    assert registry.request("GET", f"/v2/{repository}/tags/list").status == 404


def configure(bench: Workbench, repository: str, mutability: str) -> None:
    """Write the configuration."""
    registry = bench.registry
    text = CONFIGURATION.format(
        region=REGION,
        user=registry.user,
        password=registry.password,
        url=registry.url,
        repository=repository,
        mutability=mutability,
    )
    (bench.folder / "main.tf").write_text(text)


def init(bench: Workbench, report: Report) -> str:
    """Find the provider in a folder or by the person's own CLI configuration; gives its version.

    Without either, Terraform would go and fetch hundreds of megabytes: that is left to the person.
    """
    folder = plugin_folder()
    configured = os.environ.get("TF_CLI_CONFIG_FILE", "")
    if folder is None and not Path(configured).is_file():
        report.left_out["terraform, AWS provider"] = NO_PROVIDER
        pytest.skip(NO_PROVIDER)
    bench.environment["CHECKPOINT_DISABLE"] = "1"
    if folder is None:
        bench.environment["TF_CLI_CONFIG_FILE"] = configured
    needed(terraform(bench, "init", *([f"-plugin-dir={folder}"] if folder else [])))
    locked = (bench.folder / ".terraform.lock.hcl").read_text()
    return locked.split('version = "')[1].split('"')[0]


def plugin_folder() -> Path | None:
    """The folder of providers, named by the person or put beside the other clients."""
    named = os.environ.get("HOLDFAST_TEST_TERRAFORM_PLUGINS")
    folder = Path(named) if named else home() / "terraform"
    return folder if folder.is_dir() else None


def terraform(bench: Workbench, *words: str) -> Outcome:
    """Run terraform without questions and colours."""
    words = (*words, "-no-color", "-input=false")
    return bench.run("terraform", *words, timeout_seconds=STEP_SECONDS)
