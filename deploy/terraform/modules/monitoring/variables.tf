variable "name" {
  description = "Prefix of names: the cluster's."
  type        = string
}

variable "environment" {
  description = "Name of the environment: the tag that the budget goes by."
  type        = string
}

variable "account_id" {
  description = "AWS account."
  type        = string
}

variable "farm" {
  description = "The farm's name in Redis: dimension Farm of its metrics."
  type        = string
}

variable "pools" {
  description = "Pools whose queues are watched."
  type        = set(string)
}

variable "log_group" {
  description = "Log group of the farm's pods."
  type        = string
}

variable "event_log_group" {
  description = "Log group of the Kubernetes events."
  type        = string
}

variable "event_namespace" {
  description = "CloudWatch namespace of what is counted in the events."
  type        = string
}

variable "monthly_budget" {
  description = "USD a month."
  type        = number
}

variable "expect_reserved_cpu" {
  description = "Tell when reserved instances do not cover the CPU nodes."
  type        = bool
}

variable "slack" {
  description = "Slack workspace and channel; null for none."
  type        = object({ team_id = string, channel_id = string })
}

variable "pagerduty_key" {
  description = "Integration key of a PagerDuty service of kind Amazon CloudWatch; null for none."
  type        = string
  sensitive   = true
}
