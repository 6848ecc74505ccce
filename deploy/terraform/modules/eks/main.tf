locals {
  # Parallel pull and unpack of image layers by SOCI, on every GPU node; or an image cache that comes with a snapshot.
  # README.md says what each is worth.
  parallel_pull = [{
    content_type = "application/node.eks.aws"
    content      = file("${path.module}/parallel-pull.yaml")
  }]
  image_cache = [{
    content_type = "text/x-shellscript; charset=\"us-ascii\""
    content      = file("${path.module}/mount-image-cache.sh")
  }]
  gpu_cloudinit = var.image_cache_snapshot_id == null ? local.parallel_pull : local.image_cache

  cache_volume = var.image_cache_snapshot_id == null ? {} : {
    xvdb = {
      device_name = "/dev/xvdb"
      ebs = {
        snapshot_id           = var.image_cache_snapshot_id
        volume_size           = null
        volume_type           = "gp3"
        throughput            = 700
        encrypted             = true
        delete_on_termination = true
      }
    }
  }
}

module "cluster" {
  source  = "terraform-aws-modules/eks/aws"
  version = "21.19.0"

  name               = var.name
  kubernetes_version = var.kubernetes_version
  vpc_id             = var.vpc_id
  subnet_ids         = var.subnet_ids
  service_ipv4_cidr  = var.service_cidr

  endpoint_public_access                   = true
  endpoint_public_access_cidrs             = var.api_cidrs
  enable_cluster_creator_admin_permissions = true
  enabled_log_types                        = ["api", "audit", "authenticator"]
  cloudwatch_log_group_retention_in_days   = 30

  # Without a version of its own an add-on takes EKS's default for this Kubernetes version, not the newest.
  addons = {
    for name, addon in local.addons : name => merge({
      most_recent   = false
      addon_version = lookup(var.addon_versions, name, null)
    }, addon)
  }

  eks_managed_node_groups = {
    for name, group in var.groups : name => {
      ami_type                       = group.ami
      ami_release_version            = var.ami_release_version
      use_latest_ami_release_version = false
      instance_types                 = group.types
      capacity_type                  = group.capacity
      min_size                       = group.min
      max_size                       = group.max
      desired_size                   = group.min
      labels                         = group.labels
      taints                         = group.taints
      cloudinit_pre_nodeadm          = group.gpus > 0 ? local.gpu_cloudinit : []
      node_repair_config             = { enabled = true }
      update_config                  = { max_unavailable_percentage = 33 }

      # One hop: the node itself reaches the metadata service, pods do not and so cannot become the node.
      metadata_options = {
        http_endpoint               = "enabled"
        http_tokens                 = "required"
        http_put_response_hop_limit = 1
      }

      block_device_mappings = merge(
        {
          xvda = {
            device_name = "/dev/xvda"
            ebs = {
              snapshot_id           = null
              volume_size           = group.disk.size
              volume_type           = "gp3"
              throughput            = group.disk.throughput
              encrypted             = true
              delete_on_termination = true
            }
          }
        },
        group.gpus > 0 ? local.cache_volume : {},
      )

      iam_role_additional_policies = {
        session_manager = "arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore"
      }
    }
  }

  node_security_group_tags = { "karpenter.sh/discovery" = var.name }
}

locals {
  addons = {
    # Before the first node, or the nodes come up without a network and without identities.
    vpc-cni = {
      before_compute       = true
      configuration_values = jsonencode({ enableNetworkPolicy = "true", env = { ENABLE_PREFIX_DELEGATION = "true" } })
    }
    eks-pod-identity-agent = { before_compute = true, configuration_values = null }
    kube-proxy             = { before_compute = false, configuration_values = null }
    coredns                = { before_compute = false, configuration_values = null }
    # Sees what a GPU driver reports (XIDs) and marks the node, which node_repair_config then replaces.
    eks-node-monitoring-agent = { before_compute = false, configuration_values = null }
    # Prometheus keeps its series on a volume.
    aws-ebs-csi-driver = {
      before_compute       = false
      configuration_values = jsonencode({ defaultStorageClass = { enabled = true } })
    }
  }
}

module "ebs_csi" {
  source  = "terraform-aws-modules/eks-pod-identity/aws"
  version = "2.8.1"

  name                      = "${var.name}-ebs-csi"
  use_name_prefix           = false
  attach_aws_ebs_csi_policy = true

  associations = {
    controller = {
      cluster_name    = module.cluster.cluster_name
      namespace       = "kube-system"
      service_account = "ebs-csi-controller-sa"
    }
  }
}

resource "aws_autoscaling_group_tag" "from_zero" {
  for_each = var.autoscaling_tags

  autoscaling_group_name = module.cluster.eks_managed_node_groups[each.value.group].node_group_autoscaling_group_names[0]

  tag {
    key                 = each.value.key
    value               = each.value.value
    propagate_at_launch = false
  }
}
