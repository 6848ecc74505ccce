# Alarms, the rule for spot notices and the policies of the topic and its key, as data. No provider, so that they are
# tested without an account. Metrics, dimensions and units are those of the farm's EMF lines (docs/metrics.md).
terraform {
  required_version = ">= 1.11.0"
}

locals {
  # Lines may come twice, so the statistic is Maximum, never Sum; and a few late ones must not flap: 3 of 5 minutes.
  by_pool = {
    queue-depth = {
      description         = "More than 50 jobs wait. docs/runbooks/MelaQueueDeep.md"
      namespace           = "Mela"
      metric_name         = "QueueDepth"
      statistic           = "Maximum"
      comparison_operator = "GreaterThanThreshold"
      threshold           = 50
      period              = 60
      evaluation_periods  = 5
      datapoints_to_alarm = 3
      treat_missing_data  = "notBreaching"
    }
    oldest-segment = {
      description         = "A job has waited for more than ten minutes: nothing takes it, or too few workers do. docs/runbooks/MelaOldestJobWaits.md"
      namespace           = "Mela"
      metric_name         = "OldestSegmentAgeSeconds"
      statistic           = "Maximum"
      comparison_operator = "GreaterThanThreshold"
      threshold           = 600
      period              = 60
      evaluation_periods  = 5
      datapoints_to_alarm = 3
      treat_missing_data  = "notBreaching"
    }
  }

  by_farm = {
    gpu-check = {
      description         = "A worker's check found its GPU at fault and cordoned the node. docs/runbooks/MelaGpuCheckFailed.md"
      namespace           = "Mela"
      metric_name         = "GpuCheckFailed"
      statistic           = "Maximum"
      comparison_operator = "GreaterThanOrEqualToThreshold"
      threshold           = 1
      period              = 60
      evaluation_periods  = 1
      datapoints_to_alarm = 1
      treat_missing_data  = "notBreaching"
    }
    heartbeat = {
      description         = "The API has not reported for three minutes: it is down, or its log does not reach CloudWatch, and all other alarms are blind. docs/runbooks/MelaApiDown.md"
      namespace           = "Mela"
      metric_name         = "Heartbeat"
      statistic           = "Maximum"
      comparison_operator = "LessThanThreshold"
      threshold           = 1
      period              = 60
      evaluation_periods  = 3
      datapoints_to_alarm = 3
      treat_missing_data  = "breaching"
    }
  }

  # Counted in the Kubernetes events by a metric filter, which knows no dimensions here: hence a namespace of its own.
  pod_failures = {
    description         = "Pods of the farm fail again and again: they crash, or their image cannot be pulled. docs/runbooks/MelaPodCrashes.md"
    namespace           = var.event_namespace
    metric_name         = "PodFailures"
    statistic           = "Sum"
    comparison_operator = "GreaterThanOrEqualToThreshold"
    threshold           = 3
    period              = 300
    evaluation_periods  = 1
    datapoints_to_alarm = 1
    treat_missing_data  = "notBreaching"
    dimensions          = {}
  }

  spot_rule = "${var.name}-spot-notice"
}
