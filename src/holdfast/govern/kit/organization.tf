# The policies of the organisation. Apply with credentials of the management account or a delegated administrator.

variable "targets" {
  description = "Units or accounts to guard; begin with a unit for trials"
  type        = set(string)
}

resource "aws_organizations_policy" "hold_tags" {
  name        = "holdfast-hold-tags"
  description = "Keeps image tags held; written and tried by holdfast guard"
  type        = "SERVICE_CONTROL_POLICY"
  content     = file("${path.module}/../../aws/service-control-policy.json")
}

resource "aws_organizations_policy_attachment" "hold_tags" {
  for_each  = var.targets
  policy_id = aws_organizations_policy.hold_tags.id
  target_id = each.value
}
