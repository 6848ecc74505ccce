# One environment, whole: both environments are this module with other sizes.
data "aws_caller_identity" "current" {}

data "aws_availability_zones" "available" {
  state = "available"

  filter {
    name   = "opt-in-status"
    values = ["opt-in-not-required"]
  }
}

module "names" {
  source = "../names"

  environment = var.environment
  account_id  = data.aws_caller_identity.current.account_id
  vpc_cidr    = var.vpc_cidr
  zones       = local.zones
}

module "groups" {
  source = "../groups"

  pools         = var.pools
  cpu_nodes     = var.cpu_nodes
  gpu_nodes_max = var.gpu_nodes_max
}

module "lifecycle" {
  source = "../lifecycle"
}

module "vpc" {
  source = "../vpc"

  name            = module.names.cluster
  region          = var.region
  cidr            = var.vpc_cidr
  zones           = local.zones
  private_subnets = module.names.private_subnets
  public_subnets  = module.names.public_subnets
  data_subnets    = module.names.data_subnets
  nat_per_zone    = var.nat_per_zone
}

locals {
  # Karpenter brings the GPU nodes itself; the CPU group it runs on stays.
  managed_groups = {
    for name, group in module.groups.groups : name => group if var.autoscaler != "karpenter" || group.gpus == 0
  }
}

module "eks" {
  source = "../eks"

  name                    = module.names.cluster
  kubernetes_version      = var.kubernetes_version
  addon_versions          = var.addon_versions
  ami_release_version     = var.ami_release_version
  vpc_id                  = module.vpc.vpc_id
  subnet_ids              = module.vpc.private_subnet_ids
  service_cidr            = module.names.service_cidr
  api_cidrs               = var.api_cidrs
  groups                  = local.managed_groups
  autoscaling_tags        = var.autoscaler == "karpenter" ? {} : module.groups.autoscaling_tags
  image_cache_snapshot_id = var.image_cache_snapshot_id
}

module "ecr" {
  source = "../ecr"

  prefix           = module.names.cluster
  images           = module.names.images
  lifecycle_policy = module.lifecycle.image_policy
}

module "s3" {
  source = "../s3"

  input_bucket  = module.names.input_bucket
  output_bucket = module.names.output_bucket
  input_rules   = module.lifecycle.input_rules
  output_rules  = module.lifecycle.output_rules
}

module "redis" {
  source = "../redis"

  name                   = module.names.cluster
  farm                   = local.farm
  vpc_id                 = module.vpc.vpc_id
  subnet_ids             = module.vpc.data_subnet_ids
  node_security_group_id = module.eks.node_security_group_id
  node_type              = var.redis.node_type
  replicas               = var.redis.replicas
}

module "monitoring" {
  source = "../monitoring"

  name                = module.names.cluster
  environment         = var.environment
  account_id          = data.aws_caller_identity.current.account_id
  farm                = local.farm
  pools               = local.watched_pools
  log_group           = module.names.log_group
  event_log_group     = module.names.event_log_group
  event_namespace     = module.names.event_namespace
  monthly_budget      = var.monthly_budget
  expect_reserved_cpu = var.expect_reserved_cpu
  slack               = var.slack
  pagerduty_key       = var.pagerduty_key
}

module "identity" {
  source = "../identity"

  cluster           = module.eks.name
  namespace         = module.names.namespace
  service_accounts  = module.names.service_accounts
  input_bucket_arn  = module.s3.input_arn
  output_bucket_arn = module.s3.output_arn
  log_group_arns    = module.monitoring.log_group_arns
}

module "addons" {
  source = "../addons"

  cluster         = module.eks.name
  region          = var.region
  namespace       = module.names.namespace
  autoscaler      = var.autoscaler
  karpenter_pools = module.groups.karpenter_pools
  log_group       = module.names.log_group
  event_log_group = module.names.event_log_group

  depends_on = [module.identity]
}

module "values" {
  source = "../values"

  registry      = local.registry
  store_url     = module.s3.store_url
  region        = var.region
  farm          = local.farm
  pools         = var.pools
  gpu_nodes_max = var.gpu_nodes_max
  redis_cidrs   = module.names.data_subnets
  vpc_cidr      = var.vpc_cidr
}

locals {
  zones = slice(data.aws_availability_zones.available.names, 0, var.zone_count)
  farm  = "mela" # mela's default for the setting farm
  # Pools whose jobs exist today, and so have a queue to watch.
  watched_pools = setsubtract(var.pools, ["train"])
  registry      = "${data.aws_caller_identity.current.account_id}.dkr.ecr.${var.region}.amazonaws.com/${module.names.cluster}"
}
