variable "name" {
  description = "Name of the VPC: the cluster's."
  type        = string
}

variable "region" {
  description = "AWS region."
  type        = string
}

variable "cidr" {
  description = "Addresses of the VPC."
  type        = string
}

variable "zones" {
  description = "Availability zones."
  type        = list(string)
}

variable "private_subnets" {
  description = "Blocks for nodes and pods, one a zone."
  type        = list(string)
}

variable "public_subnets" {
  description = "Blocks for load balancers and NAT, one a zone."
  type        = list(string)
}

variable "data_subnets" {
  description = "Blocks for Redis, one a zone, without a route to the internet."
  type        = list(string)
}

variable "nat_per_zone" {
  description = "A NAT gateway in each zone, so that the loss of a zone does not cut off the others; else one for all."
  type        = bool
}
