output "name" {
  description = "Name of the cluster, known once it is there."
  value       = module.cluster.cluster_name
}

output "endpoint" {
  description = "Address of the Kubernetes API."
  value       = module.cluster.cluster_endpoint
}

output "certificate_authority" {
  description = "Certificate of the Kubernetes API, base64."
  value       = module.cluster.cluster_certificate_authority_data
}

output "node_security_group_id" {
  description = "Security group of the nodes, and so of the pods."
  value       = module.cluster.node_security_group_id
}
