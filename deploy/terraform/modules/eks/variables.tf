variable "name" {
  description = "Name of the cluster."
  type        = string
}

variable "kubernetes_version" {
  description = "Kubernetes version. Before 1.35 the autoscaler's tolerance cannot be set, and worker counts stick."
  type        = string

  validation {
    condition     = can(regex("^1\\.[0-9]+$", var.kubernetes_version)) && tonumber(split(".", var.kubernetes_version)[1]) >= 35
    error_message = "mela needs Kubernetes 1.35 or newer."
  }
}

variable "addon_versions" {
  description = "Versions of EKS add-ons, by name."
  type        = map(string)
}

variable "ami_release_version" {
  description = "Release of the node image; null takes the newest when a group is made, and keeps it."
  type        = string
}

variable "vpc_id" {
  description = "The VPC."
  type        = string
}

variable "subnet_ids" {
  description = "Subnets of nodes and pods."
  type        = list(string)
}

variable "service_cidr" {
  description = "Addresses of Kubernetes Services."
  type        = string
}

variable "api_cidrs" {
  description = "Addresses that reach the Kubernetes API."
  type        = list(string)

  validation {
    condition     = length(var.api_cidrs) > 0 && !contains(var.api_cidrs, "0.0.0.0/0")
    error_message = "Name the addresses you work from; the whole internet is not one of them."
  }
}

variable "groups" {
  description = "Node groups, as modules/groups puts them out."
  type = map(object({
    types    = list(string)
    capacity = string
    ami      = string
    min      = number
    max      = number
    gpus     = number
    labels   = map(string)
    taints   = map(object({ key = string, value = string, effect = string }))
    disk     = object({ size = number, throughput = number })
  }))
}

variable "autoscaling_tags" {
  description = "Tags of the Auto Scaling groups that start from zero."
  type        = map(object({ group = string, key = string, value = string }))
}

variable "image_cache_snapshot_id" {
  description = "Snapshot with the worker's image unpacked; null pulls in parallel instead."
  type        = string
}
