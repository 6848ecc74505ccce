module "vpc" {
  source  = "terraform-aws-modules/vpc/aws"
  version = "6.6.0"

  name            = var.name
  cidr            = var.cidr
  azs             = var.zones
  private_subnets = var.private_subnets
  public_subnets  = var.public_subnets
  intra_subnets   = var.data_subnets

  enable_nat_gateway     = true
  single_nat_gateway     = !var.nat_per_zone
  one_nat_gateway_per_az = var.nat_per_zone

  public_subnet_tags = { "kubernetes.io/role/elb" = "1" }
  private_subnet_tags = {
    "kubernetes.io/role/internal-elb" = "1"
    "karpenter.sh/discovery"          = var.name
  }
}

# Masters, artifacts and image layers (ECR keeps them in S3) pass by here for nothing, instead of through NAT by the gigabyte.
resource "aws_vpc_endpoint" "s3" {
  vpc_id            = module.vpc.vpc_id
  service_name      = "com.amazonaws.${var.region}.s3"
  vpc_endpoint_type = "Gateway"
  route_table_ids   = concat(module.vpc.private_route_table_ids, module.vpc.intra_route_table_ids)

  tags = { Name = "${var.name}-s3" }
}
