variable "region" {
  description = "Region of the state."
  type        = string
  default     = "us-east-1"
}
