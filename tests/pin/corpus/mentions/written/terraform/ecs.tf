variable "image_tag" {
  default = "latest"
}

variable "proxy_image" {
  type    = string
  default = "envoyproxy/envoy:v1.30.1"
}

locals {
  web = "acme/web:${var.image_tag}"
}

resource "aws_ecs_task_definition" "web" {
  family = "web"
  container_definitions = jsonencode([
    { name = "web", image = local.web },
    { name = "proxy", image = var.proxy_image },
    { name = "log", image = "fluent/fluent-bit:2.2" }
  ])
}

resource "aws_ecs_task_definition" "old" {
  container_definitions = <<DEFINITION
[{"name": "old", "image": "acme/old:${var.image_tag}"}]
DEFINITION
}

resource "aws_lambda_function" "f" {
  package_type = "Image"
  image_uri    = "${aws_ecr_repository.f.repository_url}:prod"
}

resource "aws_instance" "vm" {
  ami = "ami-0123456789abcdef0"
}
