output "groups" {
  description = "Node groups, by name."
  value       = local.groups
}

output "autoscaling_tags" {
  description = "Tags for the Auto Scaling groups that start from zero, by group and key."
  value       = { for tag in local.tag_list : "${tag.group} ${tag.key}" => tag }
}

output "karpenter_pools" {
  description = "What takes the place of the GPU groups under Karpenter."
  value       = local.karpenter_pools
}
