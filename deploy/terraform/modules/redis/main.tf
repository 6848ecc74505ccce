# The queue. ElastiCache offers no append-only file on any engine of the last ten years, so what was acknowledged lives in
# the memory of two nodes in two zones, and in a daily snapshot. Losing both nodes at once loses the queue, not the work:
# `mela recover` rebuilds it from the store.
resource "aws_elasticache_subnet_group" "this" {
  name       = var.name
  subnet_ids = var.subnet_ids
}

resource "aws_elasticache_parameter_group" "this" {
  name   = "${var.name}-noeviction"
  family = "redis7"

  # mela refuses a Redis that may throw jobs away.
  parameter {
    name  = "maxmemory-policy"
    value = "noeviction"
  }
}

resource "aws_security_group" "this" {
  name        = "${var.name}-redis"
  description = "Redis, from the nodes of ${var.name} only"
  vpc_id      = var.vpc_id

  tags = { Name = "${var.name}-redis" }
}

resource "aws_vpc_security_group_ingress_rule" "nodes" {
  security_group_id            = aws_security_group.this.id
  referenced_security_group_id = var.node_security_group_id
  description                  = "Nodes and their pods"
  ip_protocol                  = "tcp"
  from_port                    = 6379
  to_port                      = 6379
}

# Letters and digits, so that the token fits into a URL as it is.
resource "random_password" "token" {
  length  = 64
  special = false
}

resource "aws_secretsmanager_secret" "token" {
  name                    = "${var.name}/redis"
  description             = "AUTH token of the farm's Redis"
  recovery_window_in_days = 7
}

resource "aws_secretsmanager_secret_version" "token" {
  secret_id     = aws_secretsmanager_secret.token.id
  secret_string = random_password.token.result
}

resource "aws_elasticache_replication_group" "this" {
  replication_group_id = var.name
  description          = "Queue of ${var.name}"
  engine               = "redis"
  engine_version       = "7.1"
  node_type            = var.node_type
  port                 = 6379

  num_cache_clusters         = var.replicas + 1
  automatic_failover_enabled = var.replicas > 0
  multi_az_enabled           = var.replicas > 0
  subnet_group_name          = aws_elasticache_subnet_group.this.name
  security_group_ids         = [aws_security_group.this.id]
  parameter_group_name       = aws_elasticache_parameter_group.this.name

  at_rest_encryption_enabled = true
  transit_encryption_enabled = true
  transit_encryption_mode    = "required"
  auth_token                 = aws_secretsmanager_secret_version.token.secret_string
  auth_token_update_strategy = "ROTATE"

  snapshot_retention_limit  = 3
  snapshot_window           = "21:00-22:00" # 02:30 in India: quiet hours
  maintenance_window        = "sun:22:00-sun:23:00"
  final_snapshot_identifier = "${var.name}-final"
}
