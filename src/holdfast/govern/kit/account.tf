# One account and region: creation template, Config rule with remediation, automatic flip.
# The same as cloudformation/account.yaml, which it takes as it is, so that the two cannot differ.

variable "governance_principal" {
  description = "ARN of who may become the governance role"
  type        = string
}

variable "home_region" {
  description = "IAM is global: the roles are made in this region only"
  type        = string
  default     = "%%REGION%%"
}

variable "automatic_remediation" {
  description = "Whether AWS Config mends what it finds by itself; first look at what it finds"
  type        = bool
  default     = false
}

resource "aws_cloudformation_stack" "guard" {
  name          = "holdfast-guard"
  template_body = file("${path.module}/../../cloudformation/account.yaml")
  capabilities  = ["CAPABILITY_NAMED_IAM"]

  parameters = {
    HomeRegion           = var.home_region
    AutomaticRemediation = tostring(var.automatic_remediation)
    GovernancePrincipal  = var.governance_principal
  }
}

# Every repository that Terraform makes: use this module's setting, or the plan is refused by nobody but the guard.
# resource "aws_ecr_repository" "app" {
#   name                 = "team/app"
#   image_tag_mutability = "IMMUTABLE"%%TAGS%%
# }
