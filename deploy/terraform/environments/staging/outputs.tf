output "farm" {
  description = "All that the next steps need: cluster, registry, buckets, secrets."
  value       = module.farm
}

output "helm_values" {
  description = "terraform output -raw helm_values > terraform-values.yaml"
  value       = module.farm.helm_values
}
