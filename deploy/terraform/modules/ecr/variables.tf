variable "prefix" {
  description = "First part of every repository's name."
  type        = string
}

variable "images" {
  description = "Names of the images."
  type        = list(string)
}

variable "lifecycle_policy" {
  description = "What becomes of old images, as JSON."
  type        = string
}
