variables {
  environment = "prod"
  account_id  = "123456789012"
  vpc_cidr    = "10.20.0.0/16"
  zones       = ["us-east-1a", "us-east-1b", "us-east-1c"]
}

run "names" {
  command = plan

  assert {
    condition     = output.cluster == "mela-prod" && output.namespace == "mela" && output.log_group == "/mela/prod/farm"
    error_message = "the names of cluster, namespace and log group are the deployment's contract"
  }
  assert {
    condition     = output.input_bucket == "mela-prod-input-123456789012" && length(output.output_bucket) <= 63
    error_message = "a bucket is named after environment and account, in at most 63 characters"
  }
}

run "addresses" {
  command = plan

  assert {
    condition     = output.private_subnets == ["10.20.0.0/19", "10.20.32.0/19", "10.20.64.0/19"]
    error_message = "private subnets are the first /19 blocks"
  }
  assert {
    condition     = output.data_subnets == ["10.20.224.0/24", "10.20.225.0/24", "10.20.226.0/24"]
    error_message = "data subnets start at .224"
  }
  assert {
    condition     = output.public_subnets == ["10.20.240.0/24", "10.20.241.0/24", "10.20.242.0/24"]
    error_message = "public subnets start at .240"
  }
}

run "no_overlap_at_four_zones" {
  command = plan
  variables {
    zones = ["a", "b", "c", "d"]
  }

  # The last private block ends at .127, the data blocks begin at .224 and end below .240.
  assert {
    condition     = output.private_subnets[3] == "10.20.96.0/19" && output.data_subnets[3] == "10.20.227.0/24"
    error_message = "the blocks of four zones must not overlap"
  }
}

run "longest_name_fits_a_bucket" {
  command = plan
  variables {
    environment = "abcdefghijkl"
  }

  assert {
    condition     = length(output.output_bucket) <= 63
    error_message = "S3 takes 63 characters"
  }
}

run "bad_environment" {
  command = plan
  variables {
    environment = "Prod_1"
  }
  expect_failures = [var.environment]
}

run "one_zone" {
  command = plan
  variables {
    zones = ["us-east-1a"]
  }
  expect_failures = [var.zones]
}

run "small_network" {
  command = plan
  variables {
    vpc_cidr = "10.20.0.0/20"
  }
  expect_failures = [var.vpc_cidr]
}
