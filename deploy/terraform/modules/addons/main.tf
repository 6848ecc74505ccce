# What runs in the cluster besides the farm. Everything is a chart of a fixed version; whatever has no GPU to serve stays on
# the CPU nodes, whose group alone has no taint.
locals {
  on_gpu_nodes = {
    tolerations = [{ key = "nvidia.com/gpu", operator = "Exists", effect = "NoSchedule" }]
    affinity = {
      nodeAffinity = {
        requiredDuringSchedulingIgnoredDuringExecution = {
          nodeSelectorTerms = [{
            matchExpressions = [{ key = "mela/pool", operator = "In", values = ["lipsync", "image", "train"] }]
          }]
        }
      }
    }
  }

  charts = {
    nvidia-device-plugin = {
      namespace  = "kube-system"
      repository = "https://nvidia.github.io/k8s-device-plugin"
      version    = "0.20.0"
      values     = [yamlencode(local.on_gpu_nodes)]
    }
    dcgm-exporter = {
      namespace  = "monitoring"
      repository = "https://nvidia.github.io/dcgm-exporter/helm-charts"
      version    = "4.8.3"
      values     = [yamlencode(merge(local.on_gpu_nodes, { serviceMonitor = { enabled = true, interval = "15s" } }))]
    }
    keda = {
      namespace  = "keda"
      repository = "https://kedacore.github.io/charts"
      version    = "2.20.2"
      values = [yamlencode({
        operator   = { replicaCount = 2 }
        prometheus = { operator = { enabled = true, serviceMonitor = { enabled = true } } }
      })]
    }
    fluent-bit = {
      namespace  = "logging"
      repository = "https://fluent.github.io/helm-charts"
      version    = "0.50.0"
      values = [
        file("${path.module}/../../../helm/fluent-bit-values.yaml"),
        yamlencode({ env = [
          { name = "AWS_REGION", value = var.region },
          { name = "MELA_LOG_GROUP", value = var.log_group },
        ] }),
      ]
    }
  }
}

# First, since the others bring ServiceMonitors. It takes those of every namespace, not only its own release's.
resource "helm_release" "prometheus" {
  name             = "kube-prometheus-stack"
  namespace        = "monitoring"
  create_namespace = true
  repository       = "https://prometheus-community.github.io/helm-charts"
  chart            = "kube-prometheus-stack"
  version          = "88.5.3"
  timeout          = 600

  values = [yamlencode({
    prometheus = {
      prometheusSpec = {
        serviceMonitorSelectorNilUsesHelmValues = false
        podMonitorSelectorNilUsesHelmValues     = false
        ruleSelectorNilUsesHelmValues           = false
        probeSelectorNilUsesHelmValues          = false
        scrapeConfigSelectorNilUsesHelmValues   = false

        retention = "31d" # the dashboards add up the cost of 30 days
        storageSpec = {
          volumeClaimTemplate = {
            spec = { accessModes = ["ReadWriteOnce"], resources = { requests = { storage = "50Gi" } } }
          }
        }
      }
    }
    grafana = { sidecar = { dashboards = { enabled = true, label = "grafana_dashboard", searchNamespace = "ALL" } } }
  })]
}

resource "helm_release" "this" {
  for_each = local.charts

  name             = each.key
  namespace        = each.value.namespace
  create_namespace = true
  repository       = each.value.repository
  chart            = each.key
  version          = each.value.version
  values           = each.value.values
  timeout          = 600

  depends_on = [helm_release.prometheus]
}

# The farm's events, from the API server: that is where a pod that cannot start shows, since it writes no log.
resource "helm_release" "events" {
  name             = "fluent-bit-events"
  namespace        = "logging"
  create_namespace = true
  repository       = local.charts.fluent-bit.repository
  chart            = "fluent-bit"
  version          = local.charts.fluent-bit.version

  values = [templatefile("${path.module}/events.yaml", {
    region    = var.region
    log_group = var.event_log_group
    namespace = var.namespace
  })]

  depends_on = [helm_release.this]
}
