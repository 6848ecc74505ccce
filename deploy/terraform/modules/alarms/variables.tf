variable "name" {
  description = "Prefix of names: the cluster's."
  type        = string
}

variable "farm" {
  description = "The farm's name in Redis (mela's setting farm): dimension Farm."
  type        = string
}

variable "pools" {
  description = "Pools whose queues are watched: dimension Pool."
  type        = set(string)
}

variable "event_namespace" {
  description = "CloudWatch namespace of what is counted in the Kubernetes events."
  type        = string
}

variable "account_id" {
  description = "AWS account."
  type        = string
}

variable "topic_arn" {
  description = "The topic that all alarms go to."
  type        = string
}
