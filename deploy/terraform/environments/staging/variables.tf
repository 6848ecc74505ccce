variable "region" {
  description = "AWS region."
  type        = string
  default     = "us-east-1"
}

variable "api_cidrs" {
  description = "Addresses that reach the Kubernetes API, for instance your office's."
  type        = list(string)
}

variable "autoscaler" {
  description = "Who adds and removes GPU nodes: cluster-autoscaler or karpenter."
  type        = string
  default     = "cluster-autoscaler"
}

variable "monthly_budget" {
  description = "USD a month; README.md tells what a month costs."
  type        = number
  default     = 1200
}

variable "slack" {
  description = "Slack workspace and channel for alarms; null for none."
  type        = object({ team_id = string, channel_id = string })
  default     = null
}

variable "pagerduty_key" {
  description = "Integration key of a PagerDuty service for alarms; null for none."
  type        = string
  default     = null
  sensitive   = true
}
