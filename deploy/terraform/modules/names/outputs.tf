output "cluster" {
  description = "Name of the cluster, and prefix of most other names."
  value       = local.cluster
}

output "namespace" {
  description = "Kubernetes namespace of the farm."
  value       = "mela"
}

output "service_accounts" {
  description = "ServiceAccounts of the chart, by role."
  value       = { api = "mela-api", cpu = "mela-worker-cpu", gpu = "mela-worker-gpu" }
}

output "images" {
  description = "Container images that the farm runs."
  value       = ["mela-control", "mela-worker-cpu", "mela-worker-cuda", "mela-trainer"]
}

output "input_bucket" {
  description = "Where masters and speech arrive; specs name it as s3://bucket/key."
  value       = "${local.cluster}-input-${var.account_id}"
}

output "output_bucket" {
  description = "The farm's store: campaigns/, files/ and models/."
  value       = "${local.cluster}-output-${var.account_id}"
}

output "log_group" {
  description = "Logs of the farm's pods; CloudWatch takes the metrics out of them."
  value       = "/mela/${var.environment}/farm"
}

output "event_log_group" {
  description = "Kubernetes events of the farm's namespace."
  value       = "/mela/${var.environment}/events"
}

output "event_namespace" {
  description = "CloudWatch namespace of what is counted in the Kubernetes events."
  value       = "Mela/${var.environment}"
}

output "private_subnets" {
  description = "One block a zone for nodes and pods."
  value       = [for index, zone in var.zones : cidrsubnet(var.vpc_cidr, local.private_bits, index)]
}

output "data_subnets" {
  description = "One block a zone for Redis, without a route to the internet."
  value       = [for index, zone in var.zones : cidrsubnet(var.vpc_cidr, local.small_bits, local.data_from + index)]
}

output "public_subnets" {
  description = "One block a zone for load balancers and NAT."
  value       = [for index, zone in var.zones : cidrsubnet(var.vpc_cidr, local.small_bits, local.public_from + index)]
}

output "service_cidr" {
  description = "Addresses of Kubernetes Services; no VPC of ours uses them."
  value       = "172.20.0.0/16"
}
