module "alarms" {
  source = "../alarms"

  name            = var.name
  farm            = var.farm
  pools           = var.pools
  event_namespace = var.event_namespace
  account_id      = var.account_id
  topic_arn       = aws_sns_topic.alarms.arn
}

resource "aws_cloudwatch_log_group" "farm" {
  name              = var.log_group
  retention_in_days = 30
}

resource "aws_cloudwatch_log_group" "events" {
  name              = var.event_log_group
  retention_in_days = 14
}

resource "aws_cloudwatch_log_metric_filter" "pod_failures" {
  name           = "${var.name}-${module.alarms.pod_failures.name}"
  log_group_name = aws_cloudwatch_log_group.events.name
  pattern        = module.alarms.pod_failures.pattern

  metric_transformation {
    name          = module.alarms.pod_failures.name
    namespace     = module.alarms.pod_failures.namespace
    value         = "1"
    default_value = "0"
  }
}

resource "aws_cloudwatch_metric_alarm" "this" {
  for_each = module.alarms.metric_alarms

  alarm_name          = each.key
  alarm_description   = each.value.description
  namespace           = each.value.namespace
  metric_name         = each.value.metric_name
  dimensions          = each.value.dimensions
  statistic           = each.value.statistic
  comparison_operator = each.value.comparison_operator
  threshold           = each.value.threshold
  period              = each.value.period
  evaluation_periods  = each.value.evaluation_periods
  datapoints_to_alarm = each.value.datapoints_to_alarm
  treat_missing_data  = each.value.treat_missing_data
  alarm_actions       = [aws_sns_topic.alarms.arn]
  ok_actions          = [aws_sns_topic.alarms.arn]
}

resource "aws_cloudwatch_event_rule" "spot" {
  name          = module.alarms.spot_rule.name
  description   = module.alarms.spot_rule.description
  event_pattern = module.alarms.spot_rule.pattern
}

resource "aws_cloudwatch_event_target" "spot" {
  rule      = aws_cloudwatch_event_rule.spot.name
  target_id = "alarms"
  arn       = aws_sns_topic.alarms.arn
}
