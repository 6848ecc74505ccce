variable "name" {
  description = "Name of the replication group: the cluster's."
  type        = string
}

variable "farm" {
  description = "The farm's name in Redis: what its keys begin with."
  type        = string
}

variable "vpc_id" {
  description = "The VPC."
  type        = string
}

variable "subnet_ids" {
  description = "Subnets for the nodes of Redis."
  type        = list(string)
}

variable "node_security_group_id" {
  description = "Security group whose members may connect."
  type        = string
}

variable "node_type" {
  description = "Type of the nodes."
  type        = string
}

variable "replicas" {
  description = "Replicas, in other zones; with 0 the queue is gone with its node."
  type        = number
}
