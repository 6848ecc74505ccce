variables {
  registry      = "123456789012.dkr.ecr.us-east-1.amazonaws.com/mela-staging"
  store_url     = "s3://mela-staging-output-123456789012"
  region        = "us-east-1"
  farm          = "mela"
  pools         = ["cpu", "lipsync"]
  gpu_nodes_max = { lipsync = 4, image = 1, train = 1 }
  redis_cidrs   = ["10.30.224.0/24", "10.30.225.0/24"]
  vpc_cidr      = "10.30.0.0/16"
}

run "values" {
  command = plan

  assert {
    condition     = yamldecode(output.helm_values).store == { url = "s3://mela-staging-output-123456789012", region = "us-east-1" }
    error_message = "the store is the output bucket"
  }
  assert {
    condition     = { for name, pool in yamldecode(output.helm_values).farm.pools : name => pool.max } == { lipsync = 4, image = 1 }
    error_message = "as many workers as nodes"
  }
  assert {
    condition     = yamldecode(output.helm_values).workers == { image = { enabled = false } }
    error_message = "no workers for pictures where they have no nodes"
  }
  assert {
    condition     = yamldecode(output.helm_values).networkPolicy.redisCidrs == ["10.30.224.0/24", "10.30.225.0/24"]
    error_message = "pods reach the subnets of Redis"
  }
}

run "pictures" {
  command = plan
  variables {
    pools = ["cpu", "lipsync", "image"]
  }

  assert {
    condition     = yamldecode(output.helm_values).workers.image.enabled
    error_message = "a pool with nodes has its workers"
  }
}
