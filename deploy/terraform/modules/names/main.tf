# Names and addresses that all other modules agree on. No provider, so `terraform test` runs it anywhere.
terraform {
  required_version = ">= 1.11.0"
}

locals {
  cluster = "mela-${var.environment}"

  # Of a /16: three bits give /19 blocks to the private subnets (8,187 addresses each, since every pod takes one), the top
  # of the range is cut into /24 blocks.
  private_bits = 3
  small_bits   = 8
  data_from    = 224
  public_from  = 240
}
