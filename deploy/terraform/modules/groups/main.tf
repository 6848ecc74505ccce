# Node groups as data: sizes, labels, taints, the tags that let Cluster Autoscaler start from zero, and the same as
# Karpenter pools. No provider.
terraform {
  required_version = ">= 1.11.0"
}

locals {
  # Those of var.pools get nodes. train: its jobs do not exist in the farm yet.
  catalogue = {
    cpu = {
      pool = "cpu", market = "on-demand", types = ["m5.2xlarge"], gpus = 0, accelerator = null
      min  = var.cpu_nodes.min, max = var.cpu_nodes.max
    }
    lipsync-on-demand = {
      pool = "lipsync", market = "on-demand", types = ["g5.2xlarge"], gpus = 1, accelerator = "nvidia-a10g"
      min  = 0, max = var.gpu_nodes_max.lipsync
    }
    lipsync-spot = {
      pool = "lipsync", market = "spot", types = ["g5.2xlarge"], gpus = 1, accelerator = "nvidia-a10g"
      min  = 0, max = var.gpu_nodes_max.lipsync
    }
    image-on-demand = {
      pool = "image", market = "on-demand", types = ["g5.12xlarge"], gpus = 4, accelerator = "nvidia-a10g"
      min  = 0, max = var.gpu_nodes_max.image
    }
    train-spot = {
      pool = "train", market = "spot", types = ["p4d.24xlarge"], gpus = 8, accelerator = "nvidia-tesla-a100"
      min  = 0, max = var.gpu_nodes_max.train
    }
  }

  taint      = { key = "nvidia.com/gpu", value = "true", effect = "NoSchedule" }
  eks_effect = { NoSchedule = "NO_SCHEDULE", NoExecute = "NO_EXECUTE", PreferNoSchedule = "PREFER_NO_SCHEDULE" }

  groups = {
    for name, group in local.catalogue : name => {
      pool     = group.pool
      types    = group.types
      capacity = group.market == "spot" ? "SPOT" : "ON_DEMAND"
      ami      = group.gpus > 0 ? "AL2023_x86_64_NVIDIA" : "AL2023_x86_64_STANDARD"
      min      = group.min
      max      = group.max
      gpus     = group.gpus
      # The accelerator label has Cluster Autoscaler wait for a new node's GPUs instead of starting a second node.
      labels = merge(
        { "mela/pool" = group.pool, "mela/market" = group.market },
        group.accelerator == null ? {} : { "k8s.amazonaws.com/accelerator" = group.accelerator },
      )
      taints = group.gpus > 0 ? { gpu = merge(local.taint, { effect = local.eks_effect[local.taint.effect] }) } : {}
      disk   = group.gpus > 0 ? var.gpu_disk : var.cpu_disk
    } if contains(var.pools, group.pool)
  }

  # Cluster Autoscaler asks EKS about a group only until its first node existed; later it goes by the tags of the Auto
  # Scaling group itself, and EKS does not pass a group's labels and taints on to that.
  template = "k8s.io/cluster-autoscaler/node-template"
  tag_list = flatten([
    for name, group in local.groups : concat(
      [for key, value in group.labels : { group = name, key = "${local.template}/label/${key}", value = value }],
      [for taint in group.taints : {
        group = name, key = "${local.template}/taint/${taint.key}", value = "${taint.value}:${local.taint.effect}"
      }],
      [
        { group = name, key = "${local.template}/resources/nvidia.com/gpu", value = tostring(group.gpus) },
        { group = name, key = "${local.template}/resources/ephemeral-storage", value = "${group.disk.size}Gi" },
      ],
    ) if group.min == 0
  ])

  # The same pools for Karpenter: one a pool and market, taken in order of weight.
  karpenter_pools = {
    for name, group in local.groups : name => {
      labels   = { for key, value in group.labels : key => value if startswith(key, "mela/") }
      types    = group.types
      capacity = group.capacity == "SPOT" ? "spot" : "on-demand"
      taints   = [local.taint]
      limit    = group.max * group.gpus
      class    = "gpu"
      disk     = group.disk
    } if group.gpus > 0
  }
}
