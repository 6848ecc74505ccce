output "input_rules" {
  description = "Rules of the input bucket, as the s3-bucket module takes them."
  value       = local.input_rules
}

output "output_rules" {
  description = "Rules of the output bucket, as the s3-bucket module takes them."
  value       = local.output_rules
}

output "image_policy" {
  description = "Lifecycle policy of every image repository."
  value       = jsonencode({ rules = local.image_rules })
}
