terraform {
  required_version = ">= 1.11.0"

  # The bucket is the account's: terraform init -backend-config="bucket=$(terraform -chdir=../../bootstrap output -raw state_bucket)"
  backend "s3" {
    key          = "staging/terraform.tfstate"
    region       = "us-east-1"
    encrypt      = true
    use_lockfile = true
  }

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "~> 6.42"
    }
    helm = {
      source  = "hashicorp/helm"
      version = "~> 3.1"
    }
    random = {
      source  = "hashicorp/random"
      version = "~> 3.7"
    }
  }
}

provider "aws" {
  region = var.region

  default_tags {
    tags = { Project = "mela", Environment = "staging", ManagedBy = "terraform" }
  }
}

provider "helm" {
  kubernetes = {
    host                   = module.farm.endpoint
    cluster_ca_certificate = base64decode(module.farm.certificate_authority)

    exec = {
      api_version = "client.authentication.k8s.io/v1beta1"
      command     = "aws"
      args        = ["eks", "get-token", "--region", var.region, "--cluster-name", module.farm.cluster]
    }
  }
}

module "farm" {
  source = "../../modules/farm"

  environment         = "staging"
  region              = var.region
  vpc_cidr            = "10.30.0.0/16"
  zone_count          = 2
  nat_per_zone        = false
  api_cidrs           = var.api_cidrs
  autoscaler          = var.autoscaler
  pools               = ["cpu", "lipsync"]
  cpu_nodes           = { min = 2, max = 4 }
  gpu_nodes_max       = { lipsync = 4, image = 1, train = 1 }
  redis               = { node_type = "cache.t4g.small", replicas = 1 }
  monthly_budget      = var.monthly_budget
  expect_reserved_cpu = false
  slack               = var.slack
  pagerduty_key       = var.pagerduty_key
}
