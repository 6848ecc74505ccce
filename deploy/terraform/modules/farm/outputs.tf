output "cluster" {
  description = "Name of the cluster, for `aws eks update-kubeconfig --name`."
  value       = module.eks.name
}

output "endpoint" {
  description = "Address of the Kubernetes API."
  value       = module.eks.endpoint
}

output "certificate_authority" {
  description = "Certificate of the Kubernetes API, base64."
  value       = module.eks.certificate_authority
}

output "registry" {
  description = "Where images are pushed; the image's name follows."
  value       = local.registry
}

output "repositories" {
  description = "Addresses of the image repositories, by image."
  value       = module.ecr.repositories
}

output "input_bucket" {
  description = "Where masters and speech go."
  value       = module.names.input_bucket
}

output "redis_secrets" {
  description = "Secrets Manager secrets with the passwords of Redis, by user."
  value       = module.redis.secret_names
}

output "redis_address" {
  description = "Host name of Redis; a URL is rediss://USER:PASSWORD@ADDRESS:6379."
  value       = module.redis.endpoint
}

output "alarm_topic" {
  description = "SNS topic of the alarms."
  value       = module.monitoring.topic_arn
}

output "helm_values" {
  description = "Values of the mela chart that follow from this environment."
  value       = module.values.helm_values
}
