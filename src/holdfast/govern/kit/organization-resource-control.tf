
resource "aws_organizations_policy" "hold_from_outside" {
  name        = "holdfast-hold-from-outside"
  description = "Keeps principals of other organisations from changing images"
  type        = "RESOURCE_CONTROL_POLICY"
  content     = file("${path.module}/../../aws/resource-control-policy.json")
}

resource "aws_organizations_policy_attachment" "hold_from_outside" {
  for_each  = var.targets
  policy_id = aws_organizations_policy.hold_from_outside.id
  target_id = each.value
}
