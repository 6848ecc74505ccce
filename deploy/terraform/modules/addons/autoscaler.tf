# Cluster Autoscaler or, by one variable, Karpenter. The CPU group is a managed node group under both.
locals {
  use_karpenter = var.autoscaler == "karpenter"
}

module "autoscaler_role" {
  source  = "terraform-aws-modules/eks-pod-identity/aws"
  version = "2.8.1"
  count   = local.use_karpenter ? 0 : 1

  name                             = "${var.cluster}-cluster-autoscaler"
  use_name_prefix                  = false
  attach_cluster_autoscaler_policy = true
  cluster_autoscaler_cluster_names = [var.cluster]

  associations = {
    autoscaler = { cluster_name = var.cluster, namespace = "kube-system", service_account = "cluster-autoscaler" }
  }
}

# Pods that hold an emptyDir are left alone by default, and a worker's /work is one: no node is emptied under a job. So
# --skip-nodes-with-local-storage stays as it is. A GPU node that has not come after ten minutes will not: the group
# backs off and the other zones are tried.
resource "helm_release" "cluster_autoscaler" {
  count = local.use_karpenter ? 0 : 1

  name       = "cluster-autoscaler"
  namespace  = "kube-system"
  repository = "https://kubernetes.github.io/autoscaler"
  chart      = "cluster-autoscaler"
  version    = "9.59.1"

  values = [yamlencode({
    autoDiscovery = { clusterName = var.cluster }
    awsRegion     = var.region
    rbac          = { serviceAccount = { name = "cluster-autoscaler" } }
    extraArgs = {
      expander                      = "least-waste"
      balance-similar-node-groups   = false
      max-node-provision-time       = "10m"
      scale-down-unneeded-time      = "5m"
      ignore-daemonsets-utilization = true
      skip-nodes-with-system-pods   = false
    }
  })]

  depends_on = [module.autoscaler_role]
}

module "karpenter" {
  source  = "terraform-aws-modules/eks/aws//modules/karpenter"
  version = "21.19.0"
  count   = local.use_karpenter ? 1 : 0

  cluster_name                  = var.cluster
  node_iam_role_name            = "${var.cluster}-karpenter"
  node_iam_role_use_name_prefix = false

  node_iam_role_additional_policies = {
    session_manager = "arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore"
  }
}

resource "helm_release" "karpenter" {
  count = local.use_karpenter ? 1 : 0

  name       = "karpenter"
  namespace  = "kube-system"
  repository = "oci://public.ecr.aws/karpenter"
  chart      = "karpenter"
  version    = "1.14.1"

  values = [yamlencode({
    settings = { clusterName = var.cluster, interruptionQueue = module.karpenter[0].queue_name }
  })]
}

# A chart and not kubernetes_manifest, which would need Karpenter's types at plan time, before there is a cluster.
resource "helm_release" "karpenter_pools" {
  count = local.use_karpenter ? 1 : 0

  name      = "karpenter-pools"
  namespace = "kube-system"
  chart     = "${path.module}/charts/karpenter-pools"

  values = [yamlencode({
    cluster = var.cluster
    role    = module.karpenter[0].node_iam_role_name
    pools   = var.karpenter_pools
  })]

  depends_on = [helm_release.karpenter]
}
