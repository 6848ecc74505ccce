"""Terraform's files, read without Terraform: arguments, references, versions, rights."""
import json
import re

import pytest

from . import terraform_checks as checks
from . import terraform_files
from .terraform_files import ROOT, TERRAFORM, blocks

pytestmark = pytest.mark.skipif(bool(terraform_files.missing_tool()), reason=str(terraform_files.missing_tool()))

# docs/metrics.md, EMF: metric -> dimensions, unit counted.
EMF = {
    "QueueDepth": {"Farm", "Pool"}, "OldestSegmentAgeSeconds": {"Farm", "Pool"}, "Workers": {"Farm", "Pool"},
    "WorkersDesired": {"Farm", "Pool"}, "Heartbeat": {"Farm"}, "JobsDead": {"Farm"}, "JobsFailed": {"Farm"},
    "RedisUp": {"Farm"}, "GpuCheckFailed": {"Farm"}}


@pytest.fixture(scope="session")
def modules():
    return terraform_files.load(TERRAFORM)


@pytest.fixture(scope="session")
def by_name(modules):
    return {folder.name: module for folder, module in modules.items()}


def test_all_folders_are_read(modules):
    names = {module.name for module in modules.values()}
    assert {"terraform/bootstrap", "environments/prod", "environments/staging"} <= names
    assert {f"modules/{name}" for name in ("vpc", "eks", "ecr", "s3", "redis", "monitoring")} <= names


def test_arguments_are_the_providers(modules):
    assert [problem for module in modules.values() for problem in checks.schema_problems(module)] == []


def test_arguments_of_modules(modules):
    assert [problem for module in modules.values() for problem in checks.call_problems(module, modules)] == []


def test_references_resolve(modules):
    assert [problem for module in modules.values() for problem in checks.reference_problems(module, modules)] == []


def test_no_output_is_idle(modules):
    assert list(checks.output_problems(modules)) == []


def test_versions_are_pinned(modules):
    assert [problem for module in modules.values() for problem in checks.pin_problems(module)] == []


def test_no_wildcards_in_rights(modules):
    assert [problem for module in modules.values() for problem in checks.iam_problems(module)] == []


def test_nothing_is_open_to_all(modules):
    assert [problem for module in modules.values() for problem in checks.ingress_problems(module)] == []


def test_variables_and_outputs_are_described(modules):
    for module in modules.values():
        for kind in ("variable", "output"):
            for name, body in module.tree.get(kind, {}).items():
                assert body[0].get("description"), f"{module.name}: {kind} {name}"


def test_environments_differ_by_values_alone(by_name):
    """Same files, same resources, same arguments of the one module that makes an environment."""
    prod, staging = by_name["prod"], by_name["staging"]
    assert prod.variables().keys() == staging.variables().keys() and prod.outputs() == staging.outputs()
    assert set(prod.calls()) == set(staging.calls()) == {"farm"}
    assert set(prod.calls()["farm"]) <= set(staging.calls()["farm"])
    assert not prod.tree.get("resource") and not staging.tree.get("resource")


# --- what the issue asks for, word by word ---

def test_state(by_name):
    resources = {type_ for type_, _, _ in blocks(by_name["bootstrap"].tree, "resource")}
    assert {"aws_s3_bucket_versioning", "aws_s3_bucket_server_side_encryption_configuration",
            "aws_s3_bucket_public_access_block", "aws_dynamodb_table"} <= resources
    for name in ("prod", "staging"):
        backend = by_name[name].tree["terraform"][0]["backend"]["s3"][0]
        assert backend["use_lockfile"] is True and backend["encrypt"] is True and "dynamodb_table" not in backend
        assert backend["key"] == f"{name}/terraform.tfstate"


def test_buckets(by_name):
    for call in by_name["s3"].calls().values():
        for switch in ("attach_deny_insecure_transport_policy", "block_public_acls", "block_public_policy",
                       "ignore_public_acls", "restrict_public_buckets"):
            assert call[switch] is True
        assert call["versioning"] == {"enabled": True} and call["force_destroy"] is False


def test_lifecycle(by_name):
    lifecycle = by_name["lifecycle"]
    assert lifecycle.local("cool_down") == [{"days": 30, "storage_class": "STANDARD_IA"},
                                            {"days": 90, "storage_class": "GLACIER_IR"}]
    assert lifecycle.local("abort_days") == 7


def test_images(by_name):
    call = by_name["ecr"].calls()["repository"]
    assert call["repository_image_tag_mutability"] == "IMMUTABLE" and call["repository_image_scan_on_push"] is True


def test_redis(by_name):
    tree = by_name["redis"].tree["resource"]
    group = tree["aws_elasticache_replication_group"]["this"][0]
    assert group["transit_encryption_enabled"] is True and group["transit_encryption_mode"] == "required"
    assert group["user_group_ids"] == ["${aws_elasticache_user_group.this.user_group_id}"] and "auth_token" not in group
    assert tree["aws_elasticache_parameter_group"]["this"][0]["parameter"] == [
        {"name": "maxmemory-policy", "value": "noeviction"}]


def test_nodes_reach_redis(by_name):
    redis, farm = by_name["redis"].tree, by_name["farm"]
    [rule] = redis["resource"]["aws_vpc_security_group_ingress_rule"]["nodes"]
    assert rule["referenced_security_group_id"] == "${var.node_security_group_id}"
    assert (rule["ip_protocol"], rule["from_port"], rule["to_port"]) == ("tcp", 6379, 6379)
    assert farm.calls()["redis"]["node_security_group_id"] == "${module.eks.node_security_group_id}"
    assert farm.calls()["redis"]["subnet_ids"] == "${module.vpc.data_subnet_ids}"
    assert farm.calls()["vpc"]["data_subnets"] == farm.calls()["values"]["redis_cidrs"] == "${module.names.data_subnets}"
    assert farm.tree["output"]["redis_address"][0]["value"] == "${module.redis.endpoint}"


def test_nodes_hide_their_metadata(by_name):
    groups = by_name["eks"].calls()["cluster"]["eks_managed_node_groups"]
    assert "http_put_response_hop_limit = 1" in groups and 'http_tokens                 = "required"' in groups
    pools = (TERRAFORM / "modules/addons/charts/karpenter-pools/templates/pools.yaml").read_text(encoding="utf-8")
    assert "httpPutResponseHopLimit: 1" in pools and "httpTokens: required" in pools


def test_prometheus_sees_foreign_monitors(by_name):
    values = json.dumps(by_name["addons"].tree["resource"]["helm_release"]["prometheus"][0]["values"])
    for kind in ("serviceMonitor", "podMonitor", "rule"):
        assert f"{kind}SelectorNilUsesHelmValues" in values
    assert values.count("SelectorNilUsesHelmValues") == values.replace(" ", "").count("SelectorNilUsesHelmValues=false")


def test_alarms_read_what_the_farm_emits(by_name):
    alarms = by_name["alarms"]
    for table, dimensions in (("by_pool", {"Farm", "Pool"}), ("by_farm", {"Farm"})):
        for alarm in alarms.local(table).values():
            assert alarm["namespace"] == "Mela" and EMF[alarm["metric_name"]] == dimensions
            assert alarm["statistic"] == "Maximum"
    depth, age = alarms.local("by_pool")["queue-depth"], alarms.local("by_pool")["oldest-segment"]
    for alarm, threshold in ((depth, 50), (age, 600)):
        assert (alarm["threshold"], alarm["comparison_operator"]) == (threshold, "GreaterThanThreshold")
        assert (alarm["period"], alarm["datapoints_to_alarm"], alarm["evaluation_periods"]) == (60, 3, 5)
    assert alarms.local("by_farm")["heartbeat"]["treat_missing_data"] == "breaching"
    assert alarms.local("by_farm")["gpu-check"]["threshold"] == 1


def test_metrics_are_documented():
    text = (ROOT / "docs/metrics.md").read_text(encoding="utf-8")
    if "EMF" not in text:
        pytest.skip("docs/metrics.md does not tell of EMF yet")
    rows = re.findall(r"^\| `([A-Z]\w+)` \| [^|]+ \| ([^|]+) \|", text, re.M)
    assert {name: set(dimensions.strip().split(", ")) for name, dimensions in rows} == EMF


def test_alarms_name_their_runbooks(by_name):
    pages = ROOT / "docs/runbooks"
    alarms = by_name["alarms"]
    for alarm in [*alarms.local("by_pool").values(), *alarms.local("by_farm").values(), alarms.local("pod_failures")]:
        page = re.search(r"docs/runbooks/(\w+\.md)$", alarm["description"])
        assert page and (not pages.exists() or (pages / page[1]).exists()), alarm["description"]


def test_named_files_exist(by_name):
    chart = TERRAFORM / "modules/addons/charts"
    assert {path.name for path in chart.iterdir()} == {"karpenter-pools"}
    values = ROOT / "deploy/helm/fluent-bit-values.yaml"
    assert f'"${{path.module}}/../../../helm/{values.name}"' in (
        TERRAFORM / "modules/addons/main.tf").read_text(encoding="utf-8")
    if not values.parent.exists():
        pytest.skip("deploy/helm is not there yet")
    assert values.exists()


def test_karpenter_budgets_are_indian_nights_in_utc():
    """07:00 to 23:00 in India, when no node may be replaced, is 16 hours from 01:30 UTC."""
    pools = (TERRAFORM / "modules/addons/charts/karpenter-pools/templates/pools.yaml").read_text(encoding="utf-8")
    assert 'schedule: "30 1 * * *"\n        duration: 16h' in pools


def test_docs_name_what_there_is(by_name):
    """Outputs, variables and addresses in the commands that people copy."""
    text = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "docs/deploy.md", TERRAFORM / "README.md"))
    outputs = set(re.findall(r"jq -r \.(\w+) \S*outputs\.json", text))
    assert outputs and outputs <= by_name["farm"].outputs()
    variables = set(re.findall(r"-var\s+'?(\w+)=", text))
    assert variables and variables <= set(by_name["prod"].variables())
    for name in ("addon_versions", "ami_release_version", "image_cache_snapshot_id", "expect_reserved_cpu", "pools"):
        assert name in text and name in by_name["farm"].variables()
    for module, resource in re.findall(r"module\.farm\.module\.(\w+)\.(\w+\.\w+)", text):
        type_, name = resource.split(".")
        assert name in by_name[module].tree["resource"][type_]
    images = re.findall(r"^image ([\w-]+)", text, re.M)
    assert images and {f"mela-{image}" for image in images} < set(re.findall(r'"(mela-\w+(?:-\w+)?)"', (
        TERRAFORM / "modules/names/outputs.tf").read_text(encoding="utf-8")))
