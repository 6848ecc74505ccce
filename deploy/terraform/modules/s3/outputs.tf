output "input_arn" {
  description = "The bucket for masters and speech."
  value       = module.input.s3_bucket_arn
}

output "output_arn" {
  description = "The farm's store."
  value       = module.output.s3_bucket_arn
}

output "store_url" {
  description = "mela's setting store."
  value       = "s3://${module.output.s3_bucket_id}"
}
