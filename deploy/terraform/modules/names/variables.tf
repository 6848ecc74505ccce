variable "environment" {
  description = "Name of the environment; part of every other name."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9]{1,11}$", var.environment))
    error_message = "An environment is 2 to 12 lower-case letters and digits, the first a letter."
  }
}

variable "account_id" {
  description = "AWS account; makes the names of buckets unique in the world."
  type        = string

  validation {
    condition     = can(regex("^[0-9]{12}$", var.account_id))
    error_message = "An account is twelve digits."
  }
}

variable "vpc_cidr" {
  description = "Addresses of the VPC; a /16."
  type        = string

  validation {
    condition     = can(cidrhost(var.vpc_cidr, 0)) && endswith(var.vpc_cidr, "/16")
    error_message = "The VPC needs a /16: pods take their addresses from it."
  }
}

variable "zones" {
  description = "Availability zones to use, two to four."
  type        = list(string)

  validation {
    condition     = length(var.zones) >= 2 && length(var.zones) <= 4
    error_message = "Two to four zones: one alone has no failover, and the address plan holds four."
  }
}
