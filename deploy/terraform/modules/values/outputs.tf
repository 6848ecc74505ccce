output "helm_values" {
  description = "Values of the mela chart, as YAML."
  value       = yamlencode(local.values)
}
