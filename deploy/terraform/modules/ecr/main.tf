module "repository" {
  source   = "terraform-aws-modules/ecr/aws"
  version  = "3.2.0"
  for_each = toset(var.images)

  # A prefix for the environment: staging cannot overwrite what production runs.
  repository_name                 = "${var.prefix}/${each.key}"
  repository_image_tag_mutability = "IMMUTABLE"
  repository_image_scan_on_push   = true
  repository_encryption_type      = "AES256"
  repository_force_delete         = false
  create_lifecycle_policy         = true
  repository_lifecycle_policy     = var.lifecycle_policy
}
