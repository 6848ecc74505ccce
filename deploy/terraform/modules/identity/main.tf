# What the farm's pods may do in AWS, one role a ServiceAccount. Nobody may delete an object: the farm never does.
# ListBucket is what turns "forbidden" into "not found" for a key that does not exist.
data "aws_iam_policy_document" "api" {
  statement {
    sid       = "Find"
    actions   = ["s3:ListBucket"]
    resources = [var.input_bucket_arn, var.output_bucket_arn]
  }

  # Submit looks at every input that a spec names.
  statement {
    sid       = "Read"
    actions   = ["s3:GetObject"]
    resources = ["${var.input_bucket_arn}/*", "${var.output_bucket_arn}/*"]
  }

  statement {
    sid       = "Write"
    actions   = ["s3:PutObject", "s3:AbortMultipartUpload"]
    resources = ["${var.output_bucket_arn}/campaigns/*", "${var.output_bucket_arn}/files/*"]
  }
}

data "aws_iam_policy_document" "worker" {
  statement {
    sid       = "Find"
    actions   = ["s3:ListBucket"]
    resources = [var.input_bucket_arn, var.output_bucket_arn]
  }

  statement {
    sid       = "Read"
    actions   = ["s3:GetObject"]
    resources = ["${var.input_bucket_arn}/*", "${var.output_bucket_arn}/*"]
  }

  statement {
    sid       = "Write"
    actions   = ["s3:PutObject", "s3:AbortMultipartUpload"]
    resources = ["${var.output_bucket_arn}/campaigns/*"]
  }
}

# Logs and events of all pods, by Fluent Bit.
data "aws_iam_policy_document" "logs" {
  statement {
    sid       = "Streams"
    actions   = ["logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"]
    resources = [for group in var.log_group_arns : "${group}:*"]
  }
}

module "role" {
  source   = "terraform-aws-modules/eks-pod-identity/aws"
  version  = "2.8.1"
  for_each = local.roles

  name                    = "${var.cluster}-${each.key}"
  use_name_prefix         = false
  attach_custom_policy    = true
  policy_name_prefix      = "${var.cluster}-${each.key}-"
  source_policy_documents = [each.value.policy]

  associations = {
    farm = {
      cluster_name    = var.cluster
      namespace       = each.value.namespace
      service_account = each.value.service_account
    }
  }
}

locals {
  policies = {
    api = data.aws_iam_policy_document.api.json
    cpu = data.aws_iam_policy_document.worker.json
    gpu = data.aws_iam_policy_document.worker.json
  }

  roles = merge(
    { for role, account in var.service_accounts : role => {
      policy = local.policies[role], namespace = var.namespace, service_account = account
    } },
    { for account in ["fluent-bit", "fluent-bit-events"] : account => {
      policy = data.aws_iam_policy_document.logs.json, namespace = "logging", service_account = account
    } },
  )
}
