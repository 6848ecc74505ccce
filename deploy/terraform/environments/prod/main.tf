terraform {
  required_version = ">= 1.11.0"

  # The bucket is the account's: terraform init -backend-config="bucket=$(terraform -chdir=../../bootstrap output -raw state_bucket)"
  backend "s3" {
    key          = "prod/terraform.tfstate"
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
    tags = { Project = "mela", Environment = "prod", ManagedBy = "terraform" }
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

  environment         = "prod"
  region              = var.region
  vpc_cidr            = "10.20.0.0/16"
  zone_count          = 3
  nat_per_zone        = true
  api_cidrs           = var.api_cidrs
  autoscaler          = var.autoscaler
  pools               = ["cpu", "lipsync", "image"]
  redis               = { node_type = "cache.m7g.large", replicas = 1 }
  monthly_budget      = var.monthly_budget
  expect_reserved_cpu = true
  slack               = var.slack
  pagerduty_key       = var.pagerduty_key
}
