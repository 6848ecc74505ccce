variable "environment" {
  description = "Name of the environment."
  type        = string
}

variable "region" {
  description = "AWS region."
  type        = string
}

variable "vpc_cidr" {
  description = "Addresses of the VPC; a /16 that nothing you peer with uses."
  type        = string
}

variable "zone_count" {
  description = "Availability zones to use. More zones have more spot capacity."
  type        = number
}

variable "nat_per_zone" {
  description = "A NAT gateway in each zone, else one for all."
  type        = bool
}

variable "api_cidrs" {
  description = "Addresses that reach the Kubernetes API."
  type        = list(string)
}

variable "kubernetes_version" {
  description = "Kubernetes version, 1.35 or newer."
  type        = string
  default     = "1.35"
}

variable "addon_versions" {
  description = "Versions of EKS add-ons, by name; EKS's default for the Kubernetes version where there is none."
  type        = map(string)
  default     = {}
}

variable "ami_release_version" {
  description = "Release of the node image; null takes the newest when a group is made, and keeps it."
  type        = string
  default     = null
}

variable "autoscaler" {
  description = "Who adds and removes GPU nodes: cluster-autoscaler or karpenter."
  type        = string
  default     = "cluster-autoscaler"
}

# train is complete but off: the farm has no jobs of this kind yet.
variable "pools" {
  description = "Pools that get nodes; image among them also switches its workers on."
  type        = set(string)
  default     = ["cpu", "lipsync"]
}

variable "cpu_nodes" {
  description = "Fewest and most CPU nodes."
  type        = object({ min = number, max = number })
  default     = { min = 2, max = 10 }
}

variable "gpu_nodes_max" {
  description = "Most nodes of each GPU group."
  type        = object({ lipsync = number, image = number, train = number })
  default     = { lipsync = 20, image = 4, train = 2 }
}

variable "image_cache_snapshot_id" {
  description = "Snapshot with the worker's image unpacked; null pulls in parallel instead."
  type        = string
  default     = null
}

variable "redis" {
  description = "Type and number of replicas of Redis."
  type        = object({ node_type = string, replicas = number })
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
