variable "cluster" {
  description = "Name of the cluster."
  type        = string
}

variable "namespace" {
  description = "Kubernetes namespace of the farm."
  type        = string
}

variable "service_accounts" {
  description = "ServiceAccounts of the chart, by role: api, cpu, gpu."
  type        = map(string)
}

variable "input_bucket_arn" {
  description = "The bucket for masters and speech."
  type        = string
}

variable "output_bucket_arn" {
  description = "The farm's store."
  type        = string
}

variable "log_group_arns" {
  description = "Log groups that Fluent Bit writes to."
  type        = list(string)
}
