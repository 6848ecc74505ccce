# What becomes of objects and images with time, as data. No provider.
#
# Glacier here is Glacier Instant Retrieval: its objects are read like any other, so a campaign that names a master of
# last year works, and so do `mela get` and `mela recover`. In Glacier Flexible Retrieval each of these would fail until
# somebody restored the object, to save 10 % of the storage. Objects below 128 KB (specs, plans, receipts) stay in
# Standard, S3's own default. models/ stays too: every node that starts reads it.
terraform {
  required_version = ">= 1.11.0"
}

locals {
  abort_days = 7
  cool_down = [
    { days = 30, storage_class = "STANDARD_IA" },
    { days = 90, storage_class = "GLACIER_IR" },
  ]

  # Two versions of a master are two masters: whoever overwrote one by mistake has a month to notice.
  input_rules = [
    {
      id                                     = "cool-down"
      enabled                                = true
      filter                                 = { prefix = "" }
      transition                             = local.cool_down
      noncurrent_version_expiration          = { days = 30 }
      abort_incomplete_multipart_upload_days = local.abort_days
    },
  ]

  # The farm writes each key once and deletes none, so older versions exist only where a person deleted something.
  output_rules = concat(
    [
      for prefix in ["campaigns/", "files/"] : {
        id         = "cool-down-${trimsuffix(prefix, "/")}"
        enabled    = true
        filter     = { prefix = prefix }
        transition = local.cool_down
      }
    ],
    [
      {
        id                                     = "tidy"
        enabled                                = true
        filter                                 = { prefix = "" }
        noncurrent_version_expiration          = { days = 30 }
        abort_incomplete_multipart_upload_days = local.abort_days
      },
    ],
  )

  image_rules = [
    {
      rulePriority = 1
      description  = "Layers that no tag names"
      selection    = { tagStatus = "untagged", countType = "sinceImagePushed", countUnit = "days", countNumber = 7 }
      action       = { type = "expire" }
    },
    {
      rulePriority = 2
      description  = "All but the last 30 releases"
      selection    = { tagStatus = "any", countType = "imageCountMoreThan", countNumber = 30 }
      action       = { type = "expire" }
    },
  ]
}
