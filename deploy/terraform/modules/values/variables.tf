variable "registry" {
  description = "Where the images are."
  type        = string
}

variable "store_url" {
  description = "mela's setting store."
  type        = string
}

variable "region" {
  description = "AWS region."
  type        = string
}

variable "farm" {
  description = "The farm's name in Redis."
  type        = string
}

variable "pools" {
  description = "Pools that get nodes."
  type        = set(string)
}

variable "gpu_nodes_max" {
  description = "Most nodes of each GPU group, and so most workers of its pool."
  type        = object({ lipsync = number, image = number, train = number })
}

variable "redis_cidrs" {
  description = "Networks that Redis is in."
  type        = list(string)
}

variable "vpc_cidr" {
  description = "Addresses of the VPC."
  type        = string
}
