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

locals {
  # {user: its rights}, of the lines "user NAME RIGHTS".
  users = {
    for line in split("\n", trimspace(file("${path.module}/../../../redis/users.acl"))) :
    split(" ", line)[1] => replace(join(" ", slice(split(" ", line), 2, length(split(" ", line)))), "{mela}", "{${var.farm}}")
  }
}

# Letters and digits, so that a password fits into a URL as it is.
resource "random_password" "user" {
  for_each = local.users

  length  = 64
  special = false
}

resource "aws_secretsmanager_secret" "user" {
  for_each = local.users

  name                    = "${var.name}/redis/${each.key}"
  description             = "Password of ${each.key} in the farm's Redis"
  recovery_window_in_days = 7
}

resource "aws_secretsmanager_secret_version" "user" {
  for_each = local.users

  secret_id     = aws_secretsmanager_secret.user[each.key].id
  secret_string = random_password.user[each.key].result
}

resource "aws_elasticache_user" "user" {
  for_each = local.users

  user_id       = "${var.name}-${each.key}"
  user_name     = each.key
  engine        = "redis"
  access_string = each.value
  passwords     = [random_password.user[each.key].result]
}

# A group has to have one of this name; nobody is it.
resource "aws_elasticache_user" "default" {
  user_id              = "${var.name}-default"
  user_name            = "default"
  engine               = "redis"
  access_string        = "off ~keys* -@all +get"
  no_password_required = true
}

resource "aws_elasticache_user_group" "this" {
  user_group_id = var.name
  engine        = "redis"
  user_ids      = concat([aws_elasticache_user.default.user_id], values(aws_elasticache_user.user)[*].user_id)
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
  user_group_ids             = [aws_elasticache_user_group.this.user_group_id]

  snapshot_retention_limit  = 3
  snapshot_window           = "21:00-22:00" # 02:30 in India: quiet hours
  maintenance_window        = "sun:22:00-sun:23:00"
  final_snapshot_identifier = "${var.name}-final"
}
