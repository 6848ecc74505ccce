run "cool_down" {
  command = plan

  assert {
    condition = alltrue([
      for rule in concat(output.input_rules, output.output_rules) :
      [for step in rule.transition : "${step.days} ${step.storage_class}"] == ["30 STANDARD_IA", "90 GLACIER_IR"]
      if can(rule.transition)
    ])
    error_message = "30 days to Standard-IA, 90 days to Glacier"
  }
  assert {
    condition = toset([for rule in output.output_rules : rule.filter.prefix if can(rule.transition)]) == toset([
      "campaigns/", "files/",
    ])
    error_message = "models/ must not cool down"
  }
  assert {
    condition = alltrue([
      for rules in [output.input_rules, output.output_rules] :
      anytrue([for rule in rules : rule.filter.prefix == "" && can(rule.abort_incomplete_multipart_upload_days)])
    ])
    error_message = "unfinished uploads are dropped in both buckets"
  }
}
