output "endpoint" {
  description = "Host name of the primary; follows a failover."
  value       = aws_elasticache_replication_group.this.primary_endpoint_address
}

output "secret_name" {
  description = "Secret with the AUTH token."
  value       = aws_secretsmanager_secret.token.name
}
