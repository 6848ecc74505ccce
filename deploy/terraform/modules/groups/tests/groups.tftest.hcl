run "defaults" {
  command = plan

  assert {
    condition     = sort(keys(output.groups)) == tolist(["cpu", "lipsync-on-demand", "lipsync-spot"])
    error_message = "image and train are off until asked for"
  }
  assert {
    condition     = output.groups["cpu"].min == 2 && output.groups["cpu"].max == 10 && output.groups["cpu"].types == ["m5.2xlarge"]
    error_message = "the CPU group is 2 to 10 m5.2xlarge"
  }
  assert {
    condition     = alltrue([for name in ["lipsync-on-demand", "lipsync-spot"] : output.groups[name].min == 0 && output.groups[name].max == 20])
    error_message = "GPU groups are 0 to 20"
  }
  assert {
    condition     = output.groups["lipsync-spot"].capacity == "SPOT" && output.groups["lipsync-on-demand"].capacity == "ON_DEMAND"
    error_message = "one group for each market"
  }
  assert {
    condition     = !anytrue([for tag in output.autoscaling_tags : tag.group == "cpu"])
    error_message = "the CPU group never starts from zero"
  }
}

run "all_pools" {
  command = plan
  variables {
    pools = ["cpu", "lipsync", "image", "train"]
  }

  # Every label and taint of a group that starts from zero is a tag of its Auto Scaling group, with the same value.
  assert {
    condition = alltrue(flatten([
      for name, group in output.groups : [
        for key, value in group.labels :
        try(output.autoscaling_tags["${name} k8s.io/cluster-autoscaler/node-template/label/${key}"].value, "") == value
      ] if group.min == 0
    ]))
    error_message = "a label lacks its tag"
  }
  assert {
    condition = alltrue([
      for name, group in output.groups :
      output.autoscaling_tags["${name} k8s.io/cluster-autoscaler/node-template/taint/nvidia.com/gpu"].value == "true:NoSchedule"
      && group.taints.gpu == { key = "nvidia.com/gpu", value = "true", effect = "NO_SCHEDULE" } if group.min == 0
    ])
    error_message = "the GPU taint and its tag differ"
  }
  assert {
    condition = {
      for name in ["lipsync-spot", "image-on-demand", "train-spot"] :
      name => output.autoscaling_tags["${name} k8s.io/cluster-autoscaler/node-template/resources/nvidia.com/gpu"].value
    } == { lipsync-spot = "1", image-on-demand = "4", train-spot = "8" }
    error_message = "GPUs of a node"
  }
  assert {
    condition     = output.groups["train-spot"].types == ["p4d.24xlarge"] && output.groups["image-on-demand"].types == ["g5.12xlarge"]
    error_message = "types of the image and train groups"
  }
  assert {
    condition     = output.karpenter_pools["lipsync-spot"].limit == 20 && output.karpenter_pools["image-on-demand"].limit == 16 && !contains(keys(output.karpenter_pools), "cpu")
    error_message = "Karpenter gets the GPU pools with as many GPUs as the groups have, and not the CPU group"
  }
}

run "without_cpu" {
  command = plan
  variables {
    pools = ["lipsync"]
  }
  expect_failures = [var.pools]
}

run "slow_disk" {
  command = plan
  variables {
    gpu_disk = { size = 200, throughput = 125 }
  }
  expect_failures = [var.gpu_disk]
}
