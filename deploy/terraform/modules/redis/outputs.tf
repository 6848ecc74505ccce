output "endpoint" {
  description = "Host name of the primary; follows a failover."
  value       = aws_elasticache_replication_group.this.primary_endpoint_address
}

output "secret_names" {
  description = "Secrets with the passwords, by user."
  value       = { for user, secret in aws_secretsmanager_secret.user : user => secret.name }
}
