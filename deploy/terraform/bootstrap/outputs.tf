output "state_bucket" {
  description = "For `terraform init -backend-config=bucket=...` in the environments."
  value       = aws_s3_bucket.state.id
}

output "lock_table" {
  description = "For clients that cannot lock in the bucket."
  value       = aws_dynamodb_table.lock.name
}
