output "metric_alarms" {
  description = "CloudWatch alarms by name."
  value = merge(
    { for pair in setproduct(keys(local.by_pool), var.pools) : "${var.name}-${pair[0]}-${pair[1]}" =>
    merge(local.by_pool[pair[0]], { dimensions = { Farm = var.farm, Pool = pair[1] } }) },
    { for name, alarm in local.by_farm : "${var.name}-${name}" => merge(alarm, { dimensions = { Farm = var.farm } }) },
    { "${var.name}-pod-failures" = local.pod_failures },
  )
}

output "pod_failures" {
  description = "The metric filter over the Kubernetes events."
  value = {
    name      = local.pod_failures.metric_name
    namespace = local.pod_failures.namespace
    # BackOff: crashes or an image that cannot be pulled; Evicted: the node ran out of something.
    pattern = "{ ($.reason = \"BackOff\") || ($.reason = \"Failed\") || ($.reason = \"Evicted\") || ($.reason = \"OOMKilling\") }"
  }
}

output "spot_rule" {
  description = "The EventBridge rule for spot notices."
  value = {
    name        = local.spot_rule
    description = "EC2 takes a spot instance back in two minutes."
    pattern     = jsonencode({ source = ["aws.ec2"], "detail-type" = ["EC2 Spot Instance Interruption Warning"] })
  }
}

# AWS shows this statement for EventBridge without a condition, unlike the other two.
output "topic_policy" {
  description = "Who may publish to the topic."
  value = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "EventBridge"
        Effect    = "Allow"
        Principal = { Service = "events.amazonaws.com" }
        Action    = "sns:Publish"
        Resource  = var.topic_arn
      },
      {
        Sid       = "AlarmsAndBudgets"
        Effect    = "Allow"
        Principal = { Service = ["cloudwatch.amazonaws.com", "budgets.amazonaws.com"] }
        Action    = "sns:Publish"
        Resource  = var.topic_arn
        Condition = { StringEquals = { "aws:SourceAccount" = var.account_id } }
      },
    ]
  })
}

# Without these grants an encrypted topic drops every message from these services, silently. In a key's policy the
# resource "*" is the key itself.
output "key_policy" {
  description = "Who may use and who may manage the topic's key."
  value = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "Publishers"
        Effect    = "Allow"
        Resource  = "*"
        Principal = { Service = ["events.amazonaws.com", "cloudwatch.amazonaws.com", "budgets.amazonaws.com"] }
        Action    = ["kms:Decrypt", "kms:GenerateDataKey"]
      },
      {
        Sid       = "Account"
        Effect    = "Allow"
        Resource  = "*"
        Principal = { AWS = "arn:aws:iam::${var.account_id}:root" }
        Action = [
          "kms:CancelKeyDeletion", "kms:Decrypt", "kms:DescribeKey", "kms:DisableKey", "kms:EnableKey",
          "kms:EnableKeyRotation", "kms:GenerateDataKey", "kms:GetKeyPolicy", "kms:GetKeyRotationStatus",
          "kms:ListResourceTags", "kms:PutKeyPolicy", "kms:ScheduleKeyDeletion", "kms:TagResource",
          "kms:UntagResource", "kms:UpdateKeyDescription",
        ]
      },
    ]
  })
}
