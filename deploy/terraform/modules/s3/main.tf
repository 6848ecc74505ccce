module "input" {
  source  = "terraform-aws-modules/s3-bucket/aws"
  version = "5.15.4"

  bucket         = var.input_bucket
  force_destroy  = false
  versioning     = { enabled = true }
  lifecycle_rule = var.input_rules

  attach_deny_insecure_transport_policy = true
  attach_require_latest_tls_policy      = true
  block_public_acls                     = true
  block_public_policy                   = true
  ignore_public_acls                    = true
  restrict_public_buckets               = true
  control_object_ownership              = true
  object_ownership                      = "BucketOwnerEnforced"

  server_side_encryption_configuration = {
    rule = { apply_server_side_encryption_by_default = { sse_algorithm = "AES256" } }
  }
}

module "output" {
  source  = "terraform-aws-modules/s3-bucket/aws"
  version = "5.15.4"

  bucket         = var.output_bucket
  force_destroy  = false
  versioning     = { enabled = true }
  lifecycle_rule = var.output_rules

  attach_deny_insecure_transport_policy = true
  attach_require_latest_tls_policy      = true
  block_public_acls                     = true
  block_public_policy                   = true
  ignore_public_acls                    = true
  restrict_public_buckets               = true
  control_object_ownership              = true
  object_ownership                      = "BucketOwnerEnforced"

  server_side_encryption_configuration = {
    rule = { apply_server_side_encryption_by_default = { sse_algorithm = "AES256" } }
  }
}
