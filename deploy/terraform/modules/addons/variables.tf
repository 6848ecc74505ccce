variable "cluster" {
  description = "Name of the cluster."
  type        = string
}

variable "region" {
  description = "AWS region."
  type        = string
}

variable "namespace" {
  description = "Kubernetes namespace of the farm."
  type        = string
}

variable "autoscaler" {
  description = "Who adds and removes GPU nodes: cluster-autoscaler or karpenter."
  type        = string

  validation {
    condition     = contains(["cluster-autoscaler", "karpenter"], var.autoscaler)
    error_message = "The autoscaler is cluster-autoscaler or karpenter."
  }
}

variable "karpenter_pools" {
  description = "GPU pools for Karpenter."
  type        = any
}

variable "log_group" {
  description = "Log group of the farm's pods."
  type        = string
}

variable "event_log_group" {
  description = "Log group of the Kubernetes events."
  type        = string
}
