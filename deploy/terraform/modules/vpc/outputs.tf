output "vpc_id" {
  description = "The VPC."
  value       = module.vpc.vpc_id
}

output "private_subnet_ids" {
  description = "Subnets of nodes and pods."
  value       = module.vpc.private_subnets
}

output "data_subnet_ids" {
  description = "Subnets of Redis."
  value       = module.vpc.intra_subnets
}
