"""The checks of test_terraform.py find what is wrong: each is shown a file with one mistake."""
import pytest

from . import terraform_checks as checks
from . import terraform_files

pytestmark = pytest.mark.skipif(bool(terraform_files.missing_tool()), reason=str(terraform_files.missing_tool()))

VALID = '''
terraform {
  required_version = ">= 1.11.0"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "~> 6.42"
    }
  }
}
variable "name" {
  type = string
}
locals {
  bucket = "${var.name}-state" # local.comment is none
}
resource "aws_s3_bucket" "a" {
  bucket = local.bucket
}
resource "aws_autoscaling_group_tag" "a" {
  autoscaling_group_name = aws_s3_bucket.a.arn
  tag {
    key                 = "text with var.nothing in it"
    value               = "v"
    propagate_at_launch = false
  }
}
data "aws_iam_policy_document" "a" {
  statement {
    actions   = ["s3:GetObject"]
    resources = ["*"]
  }
}
module "b" {
  source = "./b"
  size   = 1
}
module "eks" {
  source             = "terraform-aws-modules/eks/aws"
  version            = "21.19.0"
  name               = "n"
  kubernetes_version = "1.35"
}
resource "aws_vpc_security_group_ingress_rule" "a" {
  security_group_id = module.eks.node_security_group_id
  cidr_ipv4         = "10.0.0.0/8"
  ip_protocol       = "tcp"
  description       = module.b.made
}
resource "helm_release" "a" {
  name    = "a"
  chart   = "a"
  version = "1.2.3"
}
'''
CALLED = '''
terraform {
  required_version = ">= 1.11.0"
}
variable "size" {
  type = number
}
output "made" {
  value = var.size
}
'''


IDLE = CALLED + 'output "idle" {\n  value = 1\n}\n'

MISTAKES = [
    ("autoscaling_group_name = ", "asg_name = ", "has no argument asg_name"),
    ("  autoscaling_group_name = aws_s3_bucket.a.arn\n", "", "lacks autoscaling_group_name"),
    ("    propagate_at_launch = false\n", "", "lacks propagate_at_launch"),
    ("  tag {", "  tag = {", "tag is a block"),
    ("    value               = \"v\"", "    worth = \"v\"", ".tag has no argument worth"),
    ('resource "aws_s3_bucket" "a"', 'resource "aws_s3_bucked" "a"', "the provider has no such resource"),
    ('data "aws_iam_policy_document" "a"', 'data "aws_iam_policy" "a"', "has no argument statement"),
    ("aws_s3_bucket.a.arn", "aws_s3_bucket.b.arn", "there is no such resource"),
    ("aws_s3_bucket.a.arn", "aws_s3_bucket.a.arm", "it has no attribute arm"),
    ("aws_s3_bucket.a.arn", "data.aws_region.a.name", "there is no such data"),
    ("local.bucket", "local.bukket", "there is no such local"),
    ("local.bucket", '"x"', "local bucket is not used"),
    ("${var.name}-state", "state", "variable name is not used"),
    ("${var.name}-state", "${var.title}-state", "there is no such variable"),
    ("module.b.made", "module.c.made", "there is no such module"),
    ("module.b.made", "module.b.mode", "it has no output mode"),
    ("  size   = 1\n", "", "module b lacks size"),
    ("  size   = 1\n", "  size   = 1\n  colour = 2\n", "module b has no variable colour"),
    ("kubernetes_version = ", "cluster_version = ", "module eks has no argument cluster_version"),
    ("module.eks.node_security_group_id", "module.eks.node_group_id", "it has no output node_group_id"),
    ('"21.19.0"', '"~> 21.0"', "module eks is not pinned"),
    ('"~> 6.42"', '">= 6.42"', "provider aws is not pinned"),
    ('  version = "1.2.3"\n', "", "helm_release.a is not pinned"),
    ('  required_version = ">= 1.11.0"\n  required_providers', "  required_providers", "Terraform's own version is not said"),
    ('["s3:GetObject"]', '["s3:Get*"]', "s3:Get* on every resource"),
    ('["s3:GetObject"]', '["*"]', "every action"),
    ('"10.0.0.0/8"', '"0.0.0.0/0"', "is open to 0.0.0.0/0"),
]


def write(folder, text, called=CALLED):
    (folder / "b").mkdir(parents=True)
    (folder / "main.tf").write_text(text, encoding="utf-8")
    (folder / "b/main.tf").write_text(called, encoding="utf-8")


def problems(modules):
    found = list(checks.output_problems(modules))
    for module in modules.values():
        for check in (checks.schema_problems, checks.pin_problems, checks.iam_problems, checks.ingress_problems):
            found += check(module)
        found += [*checks.call_problems(module, modules), *checks.reference_problems(module, modules)]
    return found


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """{case: problems}; all cases are parsed at once, since the parser takes its time to start."""
    top = tmp_path_factory.mktemp("cases")
    write(top / "valid", VALID)
    write(top / "idle", VALID, IDLE)
    for index, (right, wrong, _) in enumerate(MISTAKES):
        assert right in VALID
        write(top / str(index), VALID.replace(right, wrong))
    modules = terraform_files.load(top)
    cases = {folder.name for folder in top.iterdir()}
    return {case: problems({folder: module for folder, module in modules.items() if top / case in (folder, folder.parent)})
            for case in cases}


def test_nothing_is_wrong(found):
    assert found["valid"] == []


@pytest.mark.parametrize("index", range(len(MISTAKES)), ids=[said for _, _, said in MISTAKES])
def test_a_mistake_is_found(found, index):
    assert any(MISTAKES[index][2] in problem for problem in found[str(index)]), found[str(index)]


def test_an_idle_output_is_found(found):
    assert found["idle"] == ["idle/b: output idle is not read"]


def test_what_cannot_be_parsed_is_an_error(tmp_path):
    write(tmp_path / "case", "resource {")
    with pytest.raises(ValueError):
        terraform_files.load(tmp_path)


def test_strings_are_no_code():
    text = 'a = "x ${var.y} var.z ${"in ${local.q} local.r"}" # var.c\nb = <<-EOT\n  var.h ${var.i}\n  EOT\nc = var.d'
    code = terraform_files.without_strings(text)
    assert [name for _, name, _ in checks.REFERENCE.findall(code)] == ["y", "q", "i", "d"]
