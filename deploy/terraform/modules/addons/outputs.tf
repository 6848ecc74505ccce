output "redis_address" {
  description = "Where pods reach Redis: the tunnel on their node."
  value       = "redis-tunnel.${var.namespace}.svc:6379"

  depends_on = [helm_release.redis_tunnel]
}
