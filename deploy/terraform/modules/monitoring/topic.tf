# One topic for all alarms, encrypted, and who gets it.
resource "aws_kms_key" "alarms" {
  description             = "Topic ${var.name}-alarms"
  enable_key_rotation     = true
  deletion_window_in_days = 7
  policy                  = module.alarms.key_policy
}

resource "aws_sns_topic" "alarms" {
  name              = "${var.name}-alarms"
  kms_master_key_id = aws_kms_key.alarms.arn
}

resource "aws_sns_topic_policy" "alarms" {
  arn    = aws_sns_topic.alarms.arn
  policy = module.alarms.topic_policy
}

resource "aws_sns_topic_subscription" "pagerduty" {
  count = nonsensitive(var.pagerduty_key == null) ? 0 : 1

  topic_arn              = aws_sns_topic.alarms.arn
  protocol               = "https"
  endpoint               = "https://events.pagerduty.com/integration/${var.pagerduty_key}/enqueue"
  endpoint_auto_confirms = true
}

data "aws_iam_policy_document" "chatbot" {
  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["chatbot.amazonaws.com"]
    }
  }
}

resource "aws_iam_role" "slack" {
  count = var.slack == null ? 0 : 1

  name               = "${var.name}-slack"
  assume_role_policy = data.aws_iam_policy_document.chatbot.json
}

# The role shows graphs of the alarms' metrics; the guardrail lets nobody do more from the channel.
resource "aws_iam_role_policy_attachment" "slack" {
  count = var.slack == null ? 0 : 1

  role       = aws_iam_role.slack[0].name
  policy_arn = "arn:aws:iam::aws:policy/CloudWatchReadOnlyAccess"
}

resource "aws_chatbot_slack_channel_configuration" "alarms" {
  count = var.slack == null ? 0 : 1

  configuration_name    = "${var.name}-alarms"
  iam_role_arn          = aws_iam_role.slack[0].arn
  slack_team_id         = var.slack.team_id
  slack_channel_id      = var.slack.channel_id
  sns_topic_arns        = [aws_sns_topic.alarms.arn]
  guardrail_policy_arns = ["arn:aws:iam::aws:policy/CloudWatchReadOnlyAccess"]
  logging_level         = "ERROR"
}
