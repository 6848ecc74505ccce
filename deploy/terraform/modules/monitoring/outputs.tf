output "topic_arn" {
  description = "The topic that all alarms go to."
  value       = aws_sns_topic.alarms.arn
}

output "log_group_arns" {
  description = "Log groups that Fluent Bit writes to."
  value       = [aws_cloudwatch_log_group.farm.arn, aws_cloudwatch_log_group.events.arn]
}
