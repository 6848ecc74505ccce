variables {
  name            = "mela-prod"
  farm            = "mela"
  pools           = ["cpu", "lipsync"]
  event_namespace = "Mela/prod"
  account_id      = "123456789012"
  topic_arn       = "arn:aws:sns:us-east-1:123456789012:mela-prod-alarms"
}

run "alarms" {
  command = plan

  assert {
    condition = sort(keys(output.metric_alarms)) == tolist([
      "mela-prod-gpu-check", "mela-prod-heartbeat", "mela-prod-oldest-segment-cpu", "mela-prod-oldest-segment-lipsync",
      "mela-prod-pod-failures", "mela-prod-queue-depth-cpu", "mela-prod-queue-depth-lipsync",
    ])
    error_message = "one alarm a pool for depth and age, one a farm for the rest"
  }
  assert {
    condition     = output.metric_alarms["mela-prod-queue-depth-lipsync"].dimensions == { Farm = "mela", Pool = "lipsync" }
    error_message = "dimensions are those of the EMF lines"
  }
  assert {
    condition     = [for name, alarm in output.metric_alarms : name if alarm.treat_missing_data == "breaching"] == ["mela-prod-heartbeat"]
    error_message = "only a missing heartbeat is an alarm by being missing"
  }
  assert {
    condition     = output.pod_failures.namespace == output.metric_alarms["mela-prod-pod-failures"].namespace
    error_message = "the filter must write where the alarm reads"
  }
}

run "publishers" {
  command = plan

  assert {
    condition = toset(flatten([for statement in jsondecode(output.topic_policy).Statement : statement.Principal.Service])) == toset(
      jsondecode(output.key_policy).Statement[0].Principal.Service
    )
    error_message = "whoever may publish must be able to use the key"
  }
}
