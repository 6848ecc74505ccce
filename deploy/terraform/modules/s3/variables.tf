variable "input_bucket" {
  description = "Name of the bucket for masters and speech."
  type        = string
}

variable "output_bucket" {
  description = "Name of the bucket that is the farm's store."
  type        = string
}

variable "input_rules" {
  description = "Lifecycle of the input bucket."
  type        = any
}

variable "output_rules" {
  description = "Lifecycle of the output bucket."
  type        = any
}
