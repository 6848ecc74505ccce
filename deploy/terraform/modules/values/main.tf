# What the mela chart has to know of an environment. No provider, so that the chart itself can be rendered with it in a test.
terraform {
  required_version = ">= 1.11.0"
}

locals {
  values = {
    image   = { registry = var.registry }
    secrets = { redisWorkers = "mela-redis-worker" }
    store   = { url = var.store_url, region = var.region }
    farm = {
      name = var.farm
      emf  = "Mela"
      # One cap over both classes: more workers than nodes of one market would wait for nodes that never come.
      pools = { for pool in ["lipsync", "image"] : pool => { max = var.gpu_nodes_max[pool] } }
    }
    # Without nodes their pods would wait for good.
    workers = { image = { enabled = contains(var.pools, "image") } }
    # The load balancer is in the VPC.
    networkPolicy = {
      redisCidrs = var.redis_cidrs
      apiFrom    = [{ ipBlock = { cidr = var.vpc_cidr } }]
    }
  }
}
