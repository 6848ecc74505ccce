"""The modules without a provider, run by Terraform; and what they put out, put to AWS as moto plays it."""
import json
import os
import re
import shutil
import subprocess

import pytest
import yaml

from . import documented
from . import terraform_checks as checks
from .aws_server import Aws
from .terraform_files import PURE, ROOT, TERRAFORM

needs_terraform = pytest.mark.skipif(not shutil.which("terraform"), reason="terraform is not installed")
needs_moto = pytest.mark.skipif(not shutil.which("moto_server"), reason="moto_server is not installed")

HELM = ROOT / ".deps/deploy/bin/helm"
CHARTS = TERRAFORM / "modules/addons/charts"
MELA_CHART = ROOT / "deploy/helm/mela"

ACCOUNT, REGION = "123456789012", "us-east-1"
TOPIC = f"arn:aws:sns:{REGION}:{ACCOUNT}:mela-prod-alarms"
INPUTS = {
    "names": {"environment": "prod", "account_id": ACCOUNT, "vpc_cidr": "10.20.0.0/16", "zones": ["a", "b", "c"]},
    "groups": {"pools": ["cpu", "lipsync", "image", "train"]},
    "alarms": {"name": "mela-prod", "farm": "mela", "pools": ["cpu", "lipsync", "image"], "event_namespace": "Mela/prod",
               "account_id": ACCOUNT, "topic_arn": TOPIC},
    "lifecycle": {},
    "values": {"registry": f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/mela-prod", "farm": "mela", "pools": ["cpu", "lipsync", "image"],
               "gpu_nodes_max": {"lipsync": 5, "image": 3, "train": 1},
               "store_url": f"s3://mela-prod-output-{ACCOUNT}", "region": REGION, "vpc_cidr": "10.20.0.0/16",
               "redis_cidrs": ["10.20.224.0/24", "10.20.225.0/24"]}}


def terraform(folder, *arguments):
    environment = {**os.environ, "CHECKPOINT_DISABLE": "1", "TF_IN_AUTOMATION": "1", "TF_CLI_CONFIG_FILE": os.devnull}
    done = subprocess.run(["terraform", *arguments], cwd=folder, env=environment, capture_output=True, text=True,
                          timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory):
    """evaluated(module) -> its outputs for INPUTS, as Terraform reckons them."""
    seen = {}

    def evaluate(name):
        if name not in seen:
            folder = tmp_path_factory.mktemp(name)
            for file in (TERRAFORM / "modules" / name).glob("*.tf"):
                shutil.copy(file, folder)
            (folder / "terraform.tfvars.json").write_text(json.dumps(INPUTS[name]), encoding="utf-8")
            terraform(folder, "init", "-input=false", "-no-color")
            terraform(folder, "apply", "-input=false", "-no-color", "-auto-approve")
            outputs = json.loads(terraform(folder, "output", "-json"))
            seen[name] = {output: body["value"] for output, body in outputs.items()}
        return seen[name]
    return evaluate


@needs_terraform
def test_format():
    terraform(TERRAFORM, "fmt", "-check", "-recursive", "-diff")


@needs_terraform
@pytest.mark.parametrize("name", PURE)
def test_module(name, tmp_path):
    folder = tmp_path / name
    shutil.copytree(TERRAFORM / "modules" / name, folder)
    terraform(folder, "init", "-input=false", "-no-color")
    terraform(folder, "validate", "-no-color")
    assert "0 failed" in terraform(folder, "test", "-no-color")


@needs_terraform
def test_groups_from_zero_are_described_by_their_tags(evaluated):
    """A node that does not exist yet is the tags of its Auto Scaling group: they are the labels, taints and GPUs, no more."""
    groups, tags = evaluated("groups")["groups"], evaluated("groups")["autoscaling_tags"]
    prefix = "k8s.io/cluster-autoscaler/node-template"
    for name, group in groups.items():
        found = {tag["key"]: tag["value"] for tag in tags.values() if tag["group"] == name}
        wanted = {f"{prefix}/label/{key}": value for key, value in group["labels"].items()}
        wanted |= {f"{prefix}/taint/{taint['key']}": f"{taint['value']}:NoSchedule" for taint in group["taints"].values()}
        wanted |= {f"{prefix}/resources/nvidia.com/gpu": str(group["gpus"]),
                   f"{prefix}/resources/ephemeral-storage": f"{group['disk']['size']}Gi"}
        assert found == (wanted if group["min"] == 0 else {})
        assert bool(group["gpus"]) == bool(group["taints"]) == ("k8s.amazonaws.com/accelerator" in group["labels"])


STUB = """
variable "%s" {
  type    = any
  default = null
}
"""
STUB_OUTPUTS = """
output "given" {
  value = { %s }
}
output "cluster_name" {
  value = var.name
}
"""


EKS_ARGUMENTS = set().union(*(entry[0] for source, entry in checks.COMMUNITY.items() if "/eks" in source[0]))


def run_with_stub(module, folder, arguments, inputs):
    """Terraform reckons what a module hands to the community module that it calls first: a stub takes that one's place, and
    the resources, which need a provider, are left out."""
    text = (TERRAFORM / "modules" / module / "main.tf").read_text(encoding="utf-8")
    text = re.sub(r'^resource .*?^}\n', "", text, flags=re.S | re.M)
    text = re.sub(r'source  = "[^"]*"\n  version = "[^"]*"', 'source = "./stub"', text)
    first = re.search(r'^module "(\w+)"', text, re.M)[1]
    (folder / "stub").mkdir()
    stub = "".join(STUB % name for name in sorted(arguments))
    stub += STUB_OUTPUTS % ", ".join(f"{name} = var.{name}" for name in sorted(arguments))
    (folder / "stub/main.tf").write_text(stub, encoding="utf-8")
    (folder / "main.tf").write_text(text + f'output "given" {{\n  value = module.{first}.given\n}}\n', encoding="utf-8")
    for file in (TERRAFORM / "modules" / module).iterdir():
        if file.name not in ("main.tf", "outputs.tf", "versions.tf"):
            shutil.copy(file, folder)
    (folder / "terraform.tfvars.json").write_text(json.dumps(inputs), encoding="utf-8")
    terraform(folder, "init", "-input=false", "-no-color")
    terraform(folder, "apply", "-input=false", "-no-color", "-auto-approve")
    return json.loads(terraform(folder, "output", "-json"))["given"]["value"]


@needs_terraform
@pytest.mark.parametrize("snapshot", [None, "snap-1"])
def test_node_groups_as_eks_gets_them(evaluated, tmp_path, snapshot):
    groups = evaluated("groups")
    given = run_with_stub("eks", tmp_path, EKS_ARGUMENTS, {
        "name": "mela-prod", "kubernetes_version": "1.35", "vpc_id": "vpc-1", "subnet_ids": ["subnet-1"],
        "service_cidr": "172.20.0.0/16", "api_cidrs": ["192.0.2.0/24"], "addon_versions": {"coredns": "v1"},
        "ami_release_version": None, "groups": groups["groups"], "autoscaling_tags": groups["autoscaling_tags"],
        "image_cache_snapshot_id": snapshot})
    assert given["addons"]["coredns"]["addon_version"] == "v1" and given["addons"]["vpc-cni"]["before_compute"] is True
    assert "eks-node-monitoring-agent" in given["addons"]
    for name, group in given["eks_managed_node_groups"].items():
        gpu = name != "cpu"
        assert group.keys() == checks.NODE_GROUP
        assert group["metadata_options"]["http_put_response_hop_limit"] == 1 and group["node_repair_config"]["enabled"]
        assert (group["min_size"], group["labels"]["mela/pool"] == "cpu") == ((0, False) if gpu else (2, True))
        assert ("xvdb" in group["block_device_mappings"]) == (gpu and snapshot is not None)
        parts = [part["content"] for part in group["cloudinit_pre_nodeadm"]]
        assert len(parts) == gpu
        assert all("FastImagePull: true" in part if snapshot is None else "/dev/xvdb" in part for part in parts)


@needs_terraform
def test_old_kubernetes_and_open_api_are_refused(tmp_path):
    inputs = {"name": "n", "vpc_id": "v", "subnet_ids": [], "service_cidr": "172.20.0.0/16", "addon_versions": {},
              "ami_release_version": None, "groups": {}, "autoscaling_tags": {}, "image_cache_snapshot_id": None,
              "kubernetes_version": "1.34", "api_cidrs": ["0.0.0.0/0"]}
    with pytest.raises(AssertionError) as caught:
        run_with_stub("eks", tmp_path, EKS_ARGUMENTS, inputs)
    said = " ".join(str(caught.value).split())
    assert "1.35 or newer" in said and "the whole internet" in said


@needs_terraform
def test_policies_have_no_wildcards(evaluated):
    for output in ("topic_policy", "key_policy"):
        for statement in json.loads(evaluated("alarms")[output])["Statement"]:
            assert list(checks.statement_problems(output, statement)) == []


@needs_terraform
def test_a_wildcard_in_a_policy_is_found():
    statement = {"Effect": "Allow", "Action": ["kms:*"], "Resource": "*"}
    assert list(checks.statement_problems("key", statement)) == ["key: kms:* on every resource"]


@pytest.fixture(scope="module")
def aws(tmp_path_factory):
    server = Aws(tmp_path_factory.mktemp("aws"), ACCOUNT, REGION)
    yield server
    server.stop()


@needs_terraform
@needs_moto
def test_alarms(evaluated, aws):
    alarms = evaluated("alarms")["metric_alarms"]
    for name, alarm in alarms.items():
        request = {"AlarmName": name, "AlarmDescription": alarm["description"], "Namespace": alarm["namespace"],
                   "MetricName": alarm["metric_name"], "Statistic": alarm["statistic"], "Period": alarm["period"],
                   "Threshold": alarm["threshold"], "ComparisonOperator": alarm["comparison_operator"],
                   "EvaluationPeriods": alarm["evaluation_periods"], "DatapointsToAlarm": alarm["datapoints_to_alarm"],
                   "TreatMissingData": alarm["treat_missing_data"], "AlarmActions.member.1": TOPIC}
        for index, (key, value) in enumerate(alarm["dimensions"].items(), 1):
            request |= {f"Dimensions.member.{index}.Name": key, f"Dimensions.member.{index}.Value": value}
        aws.query("monitoring", "PutMetricAlarm", "2010-08-01", request)
    answer = aws.query("monitoring", "DescribeAlarms", "2010-08-01", {})
    kept = {}
    for member in answer.find(".//MetricAlarms"):
        kept[member.findtext("AlarmName")] = member
    assert kept.keys() == alarms.keys()
    for name, alarm in alarms.items():
        read = kept[name]
        assert read.findtext("MetricName") == alarm["metric_name"] and read.findtext("Namespace") == alarm["namespace"]
        assert float(read.findtext("Threshold")) == alarm["threshold"]
        assert int(read.findtext("Period")) == alarm["period"]
        assert read.findtext("TreatMissingData") == alarm["treat_missing_data"]
        assert [action.text for action in read.find("AlarmActions")] == [TOPIC]
        dimensions = {entry.findtext("Name"): entry.findtext("Value") for entry in read.find("Dimensions")}
        assert dimensions == alarm["dimensions"]


@needs_terraform
@needs_moto
def test_spot_notice_reaches_the_topic(evaluated, aws):
    """The rule's target is the topic, whose policy lets EventBridge in."""
    outputs = evaluated("alarms")
    rule, policy = outputs["spot_rule"], outputs["topic_policy"]
    aws.query("sns", "CreateTopic", "2010-03-31", {"Name": TOPIC.split(":")[-1]})
    aws.query("sns", "SetTopicAttributes", "2010-03-31",
              {"TopicArn": TOPIC, "AttributeName": "Policy", "AttributeValue": policy})
    attributes = aws.query("sns", "GetTopicAttributes", "2010-03-31", {"TopicArn": TOPIC})
    kept = {entry.findtext("key"): entry.findtext("value") for entry in attributes.find(".//Attributes")}
    statements = json.loads(kept["Policy"])["Statement"]
    assert any(s["Principal"] == {"Service": "events.amazonaws.com"} and s["Resource"] == TOPIC for s in statements)

    aws.json("events", "AWSEvents.PutRule",
             {"Name": rule["name"], "EventPattern": rule["pattern"], "Description": rule["description"]})
    answer = aws.json("events", "AWSEvents.PutTargets", {"Rule": rule["name"], "Targets": [{"Id": "alarms", "Arn": TOPIC}]})
    assert answer["FailedEntryCount"] == 0
    assert aws.json("events", "AWSEvents.DescribeRule", {"Name": rule["name"]})["EventPattern"] == rule["pattern"]
    assert aws.json("events", "AWSEvents.ListTargetsByRule", {"Rule": rule["name"]})["Targets"][0]["Arn"] == TOPIC
    # moto fails on an event for a topic, and the next test sends such events.
    aws.json("events", "AWSEvents.RemoveTargets", {"Rule": rule["name"], "Ids": ["alarms"]})


@needs_terraform
@needs_moto
def test_spot_rule_takes_spot_notices_only(evaluated, aws):
    """Events go through the rule into a queue: moto delivers to those, not to topics."""
    rule = {**evaluated("alarms")["spot_rule"], "name": "to-a-queue"}
    queue = aws.query("sqs", "CreateQueue", "2012-11-05", {"QueueName": "events"}).findtext(".//QueueUrl")
    aws.json("events", "AWSEvents.PutRule", {"Name": rule["name"], "EventPattern": rule["pattern"]})
    aws.json("events", "AWSEvents.PutTargets", {"Rule": rule["name"], "Targets": [
        {"Id": "queue", "Arn": f"arn:aws:sqs:{REGION}:{ACCOUNT}:events"}]})
    for source, kind in (("aws.ec2", "EC2 Instance State-change Notification"), ("aws.ec2", "EC2 Spot Instance Interruption Warning"),
                         ("mine", "EC2 Spot Instance Interruption Warning")):
        detail = json.dumps({"instance-id": "i-1", "instance-action": "terminate"})
        answer = aws.json("events", "AWSEvents.PutEvents",
                          {"Entries": [{"Source": source, "DetailType": kind, "Detail": detail}]})
        assert answer["FailedEntryCount"] == 0
    received = aws.query("sqs", "ReceiveMessage", "2012-11-05", {"QueueUrl": queue, "MaxNumberOfMessages": 10})
    events = [json.loads(body.text) for body in received.iter("Body")]
    assert [(event["source"], event["detail-type"]) for event in events] == [
        ("aws.ec2", "EC2 Spot Instance Interruption Warning")]


@needs_terraform
@needs_moto
def test_key_policy(evaluated, aws):
    policy = evaluated("alarms")["key_policy"]
    key = aws.json("kms", "TrentService.CreateKey", {"Policy": policy})["KeyMetadata"]["KeyId"]
    kept = aws.json("kms", "TrentService.GetKeyPolicy", {"KeyId": key, "PolicyName": "default"})["Policy"]
    assert json.loads(kept) == json.loads(policy)


def rules_as_xml(rules):
    """Lifecycle rules of the s3-bucket module, as S3 takes them."""
    def element(name, *content):
        return f"<{name}>{''.join(map(str, content))}</{name}>"
    parts = []
    for rule in rules:
        steps = [element("Transition", element("Days", step["days"]), element("StorageClass", step["storage_class"]))
                 for step in rule.get("transition", [])]
        if "noncurrent_version_expiration" in rule:
            days = rule["noncurrent_version_expiration"]["days"]
            steps.append(element("NoncurrentVersionExpiration", element("NoncurrentDays", days)))
        if "abort_incomplete_multipart_upload_days" in rule:
            days = rule["abort_incomplete_multipart_upload_days"]
            steps.append(element("AbortIncompleteMultipartUpload", element("DaysAfterInitiation", days)))
        parts.append(element("Rule", element("ID", rule["id"]), element("Filter", element("Prefix", rule["filter"]["prefix"])),
                             element("Status", "Enabled"), *steps))
    return element("LifecycleConfiguration", *parts)


def rules_from_xml(root):
    """{id: (prefix, [(days, class)], days to abort)}"""
    result = {}
    for rule in root.iter("Rule"):
        steps = [(int(step.findtext("Days")), step.findtext("StorageClass")) for step in rule.iter("Transition")]
        abort = rule.findtext("AbortIncompleteMultipartUpload/DaysAfterInitiation")
        result[rule.findtext("ID")] = (rule.findtext("Filter/Prefix") or "", steps, abort and int(abort))
    return result


@needs_terraform
@needs_moto
def test_lifecycle(evaluated, aws):
    cool_down = [(30, "STANDARD_IA"), (90, "GLACIER_IR")]
    wanted = {
        "input_rules": {"cool-down": ("", cool_down, 7)},
        "output_rules": {"cool-down-campaigns": ("campaigns/", cool_down, None),
                         "cool-down-files": ("files/", cool_down, None), "tidy": ("", [], 7)}}
    for output, rules in wanted.items():
        bucket = f"/mela-{output.replace('_', '-')}"
        aws.s3("PUT", bucket)
        aws.s3("PUT", f"{bucket}?lifecycle", rules_as_xml(evaluated("lifecycle")[output]))
        assert rules_from_xml(aws.s3("GET", f"{bucket}?lifecycle")) == rules


# --- the charts that Terraform installs ---

needs_helm = pytest.mark.skipif(not HELM.exists(), reason="helm is not in .deps/deploy")


def render(chart, values, folder, *more):
    """A chart's objects; `values` come last, after the files in `more`."""
    (folder / "values.yaml").write_text(values if isinstance(values, str) else json.dumps(values), encoding="utf-8")
    files = [argument for file in (*more, folder / "values.yaml") for argument in ("-f", file)]
    done = subprocess.run([HELM, "template", chart.name, chart, "-n", "mela", *files],
                          capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return [body for body in yaml.safe_load_all(done.stdout) if body]


@needs_terraform
@needs_helm
@pytest.mark.skipif(not MELA_CHART.exists(), reason="deploy/helm/mela is not there yet")
def test_the_chart_takes_the_values(evaluated, tmp_path):
    """The chart's schema refuses what it does not know; and what Terraform says wins over the profile."""
    objects = render(MELA_CHART, evaluated("values")["helm_values"], tmp_path, MELA_CHART / "values-prod.yaml")
    images = {container["image"] for body in objects if body["kind"] == "Deployment"
              for container in body["spec"]["template"]["spec"]["containers"]}
    assert images and all(image.startswith(INPUTS["values"]["registry"] + "/mela-") for image in images)
    text = json.dumps(objects)
    assert INPUTS["values"]["store_url"] in text
    limits = {body["metadata"]["name"].removeprefix("mela-worker-"): body["spec"]["maxReplicaCount"] for body in objects
              if body["kind"] == "ScaledObject"}
    assert limits == {"cpu": 20, "lipsync-urgent": 5, "lipsync-batch": 5, "image": 3}


@needs_terraform
@needs_helm
def test_without_nodes_for_pictures_there_are_no_workers_for_them(evaluated, tmp_path):
    values = yaml.safe_load(evaluated("values")["helm_values"])
    assert values["workers"] == {"image": {"enabled": True}}
    values["workers"]["image"]["enabled"] = False  # what the module says where pools lack image
    objects = render(MELA_CHART, values, tmp_path, MELA_CHART / "values-prod.yaml")
    assert not [body for body in objects if body["metadata"]["name"] == "mela-worker-image"]


@needs_terraform
@needs_helm
def test_the_pods_fit_the_nodes_of_their_pool(evaluated, tmp_path):
    """Each GPU pod finds a group with its labels, and takes all cards of one of its nodes."""
    groups = [group for group in evaluated("groups")["groups"].values() if group["gpus"]]
    found = 0
    for body in render(MELA_CHART, evaluated("values")["helm_values"], tmp_path, MELA_CHART / "values-prod.yaml"):
        if body["kind"] == "Deployment" and "tolerations" in (spec := body["spec"]["template"]["spec"]):
            [group] = [each for each in groups if spec["nodeSelector"].items() <= each["labels"].items()]
            assert spec["containers"][0]["resources"]["limits"]["nvidia.com/gpu"] == group["gpus"]
            space = sum(int(volume["emptyDir"]["sizeLimit"].removesuffix("Gi")) for volume in spec["volumes"])
            assert space < group["disk"]["size"] - 40  # of which images and the system take their part
            found += 1
    assert found == 3


@needs_terraform
@needs_helm
@documented.needs_jq
def test_pods_reach_redis_as_the_secret_says(evaluated, tmp_path):
    """Terraform's values, the profile for production and the secret that docs/deploy.md makes are of one Redis."""
    secret = documented.secrets(tmp_path)["mela-redis"]
    port = int(secret["url"].rsplit(":", 1)[1])
    objects = render(MELA_CHART, evaluated("values")["helm_values"], tmp_path, MELA_CHART / "values-prod.yaml")
    specs = [(body["kind"], body["spec"]) for body in objects if "spec" in body]
    assert secret["url"].startswith("rediss://")
    [ways] = {json.dumps(rule["to"]) for kind, spec in specs if kind == "NetworkPolicy" for rule in spec.get("egress", [])
              if {"port": port, "protocol": "TCP"} in rule["ports"]}
    assert json.loads(ways) == [{"ipBlock": {"cidr": cidr}} for cidr in INPUTS["values"]["redis_cidrs"]]


@needs_terraform
def test_users_of_redis_have_the_rights_of_the_file(tmp_path):
    """The module itself needs AWS; what it reads of the file does not."""
    text = (TERRAFORM / "modules/redis/main.tf").read_text(encoding="utf-8").replace("${path.module}/../../..", str(ROOT / "deploy"))
    [block] = re.findall(r"^locals \{.*?^\}", text, re.M | re.S)
    (tmp_path / "main.tf").write_text(f'variable "farm" {{ default = "studio" }}\n{block}\noutput "users" {{ value = local.users }}\n',
                                      encoding="utf-8")
    terraform(tmp_path, "apply", "-input=false", "-no-color", "-auto-approve")
    users = json.loads(terraform(tmp_path, "output", "-json"))["users"]["value"]
    lines = (ROOT / "deploy/redis/users.acl").read_text(encoding="ascii").replace("{mela}", "{studio}").splitlines()
    assert {f"user {name} {rights}" for name, rights in users.items()} == set(lines) and len(lines) == 2


@needs_terraform
@needs_helm
def test_karpenter_pools_are_the_groups(evaluated, tmp_path):
    pools = evaluated("groups")["karpenter_pools"]
    objects = render(CHARTS / "karpenter-pools", {"cluster": "mela-prod", "role": "node", "pools": pools}, tmp_path)
    found = {body["metadata"]["name"]: body["spec"] for body in objects if body["kind"] == "NodePool"}
    classes = {body["metadata"]["name"]: body["spec"] for body in objects if body["kind"] == "EC2NodeClass"}
    assert found.keys() == classes.keys() == pools.keys()
    for name, pool in pools.items():
        template = found[name]["template"]
        assert template["metadata"]["labels"] == pool["labels"] and template["spec"]["taints"] == pool["taints"]
        assert found[name]["limits"] == {"nvidia.com/gpu": pool["limit"]}
        assert template["spec"]["nodeClassRef"]["name"] == name
        assert classes[name]["metadataOptions"]["httpPutResponseHopLimit"] == 1
