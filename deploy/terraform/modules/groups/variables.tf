variable "pools" {
  description = "Pools that get nodes. cpu must be there: the control plane runs on it."
  type        = set(string)
  default     = ["cpu", "lipsync"]

  validation {
    condition     = contains(var.pools, "cpu") && length(setsubtract(var.pools, ["cpu", "lipsync", "image", "train"])) == 0
    error_message = "Pools are cpu (always), lipsync, image and train."
  }
}

variable "cpu_nodes" {
  description = "Fewest and most CPU nodes (m5.2xlarge)."
  type        = object({ min = number, max = number })
  default     = { min = 2, max = 10 }

  validation {
    condition     = var.cpu_nodes.min >= 2 && var.cpu_nodes.max >= var.cpu_nodes.min
    error_message = "At least two CPU nodes, so that API and scaler survive the loss of one."
  }
}

variable "gpu_nodes_max" {
  description = "Most nodes of each GPU group; the least is 0."
  type        = object({ lipsync = number, image = number, train = number })
  default     = { lipsync = 20, image = 4, train = 2 }
}

variable "cpu_disk" {
  description = "Root volume of CPU nodes (gp3): GiB and MiB/s."
  type        = object({ size = number, throughput = number })
  default     = { size = 100, throughput = 125 }
}

variable "gpu_disk" {
  description = "Root volume of GPU nodes (gp3): GiB and MiB/s. Below 600 MiB/s a parallel image pull is slower than a plain one."
  type        = object({ size = number, throughput = number })
  default     = { size = 200, throughput = 700 }

  validation {
    condition     = var.gpu_disk.throughput >= 600 && var.gpu_disk.throughput <= 750
    error_message = "600 to 750 MiB/s: less slows the parallel pull, more needs extra IOPS."
  }
}
