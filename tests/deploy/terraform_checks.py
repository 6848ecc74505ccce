"""Checks of Terraform's files. Each returns what is wrong as sentences, so that tests can show that it bites."""
import re

from . import terraform_files
from .terraform_files import blocks

META = {"count", "for_each", "depends_on", "provider", "lifecycle", "providers", "source", "version"}

# The sources of these modules cannot be had here. Kept by hand from their documentation: the arguments and outputs used.
COMMUNITY = {
    ("terraform-aws-modules/vpc/aws", "6.6.0"): (
        {"name", "cidr", "azs", "private_subnets", "public_subnets", "intra_subnets", "enable_nat_gateway",
         "single_nat_gateway", "one_nat_gateway_per_az", "public_subnet_tags", "private_subnet_tags"},
        {"vpc_id", "private_subnets", "intra_subnets", "private_route_table_ids", "intra_route_table_ids"}),
    ("terraform-aws-modules/eks/aws", "21.19.0"): (
        {"name", "kubernetes_version", "vpc_id", "subnet_ids", "endpoint_public_access", "endpoint_public_access_cidrs",
         "enable_cluster_creator_admin_permissions", "enabled_log_types", "cloudwatch_log_group_retention_in_days",
         "service_ipv4_cidr", "addons", "eks_managed_node_groups", "node_security_group_tags"},
        {"cluster_name", "cluster_endpoint", "cluster_certificate_authority_data", "node_security_group_id",
         "eks_managed_node_groups"}),
    ("terraform-aws-modules/eks/aws//modules/karpenter", "21.19.0"): (
        {"cluster_name", "node_iam_role_name", "node_iam_role_use_name_prefix", "node_iam_role_additional_policies"},
        {"queue_name", "node_iam_role_name"}),
    ("terraform-aws-modules/eks-pod-identity/aws", "2.8.1"): (
        {"name", "use_name_prefix", "attach_custom_policy", "policy_name_prefix", "source_policy_documents",
         "associations", "attach_aws_ebs_csi_policy", "attach_cluster_autoscaler_policy",
         "cluster_autoscaler_cluster_names"},
        set()),
    ("terraform-aws-modules/ecr/aws", "3.2.0"): (
        {"repository_name", "repository_image_tag_mutability", "repository_image_scan_on_push",
         "repository_encryption_type", "repository_force_delete", "create_lifecycle_policy",
         "repository_lifecycle_policy"},
        {"repository_url"}),
    ("terraform-aws-modules/s3-bucket/aws", "5.15.4"): (
        {"bucket", "force_destroy", "versioning", "lifecycle_rule", "attach_deny_insecure_transport_policy",
         "attach_require_latest_tls_policy", "block_public_acls", "block_public_policy", "ignore_public_acls",
         "restrict_public_buckets", "control_object_ownership", "object_ownership",
         "server_side_encryption_configuration"},
        {"s3_bucket_arn", "s3_bucket_id"}),
}

# Members of one entry of eks_managed_node_groups and of addons, of the same module and version.
NODE_GROUP = {
    "ami_type", "ami_release_version", "use_latest_ami_release_version", "instance_types", "capacity_type", "min_size",
    "max_size", "desired_size", "labels", "taints", "cloudinit_pre_nodeadm", "node_repair_config", "update_config",
    "metadata_options", "block_device_mappings", "iam_role_additional_policies"}


# --- arguments ---

def block_problems(where, body, schema, interface):
    members = schema.blocks[interface]
    for name, value in body.items():
        if name in META and interface == schema.root:
            continue
        if name not in members:
            yield f"{where} has no argument {name}"
            continue
        _, inner, is_block = members[name]
        nested = isinstance(value, list) and value and all(isinstance(entry, dict) for entry in value)
        if is_block and not nested:
            yield f"{where}: {name} is a block"
        if nested and inner in schema.blocks:
            for entry in value:
                yield from block_problems(f"{where}.{name}", entry, schema, inner)
    for name, (required, _, _) in members.items():
        if required and name not in body:
            yield f"{where} lacks {name}"


def schema_problems(module):
    """Arguments, required ones, and nested blocks of resources, data sources and providers."""
    for kind in ("resource", "data"):
        for type_, name, body in blocks(module.tree, kind):
            where = f"{module.name}: {type_}.{name}"
            schema = terraform_files.schema(kind, type_)
            if schema is None:
                yield f"{where}: the provider has no such {kind}"
            else:
                yield from block_problems(where, body, schema, schema.root)
    for provider, bodies in module.tree.get("provider", {}).items():
        schema = terraform_files.provider_schema(provider)
        for body in bodies:
            yield from block_problems(f"{module.name}: provider {provider}", body, schema, schema.root)


def call_problems(module, modules):
    """Arguments of called modules: against their variables, or the list above."""
    for name, body in module.calls().items():
        where, given = f"{module.name}: module {name}", set(body) - META
        called = callee(module, body, modules)
        if isinstance(called, terraform_files.Module):
            variables = called.variables()
            required = {variable for variable, content in variables.items() if "default" not in content}
            yield from (f"{where} has no variable {argument}" for argument in sorted(given - set(variables)))
            yield from (f"{where} lacks {argument}" for argument in sorted(required - given))
        elif called is None:
            yield f"{where}: {body['source']} {body.get('version')} is not known"
        else:
            yield from (f"{where} has no argument {argument}" for argument in sorted(given - called[0]))


def callee(module, body, modules):
    """The Module that a call names, or the entry of COMMUNITY, or None."""
    if body["source"].startswith("."):
        return modules.get((module.folder / body["source"]).resolve())
    return COMMUNITY.get((body["source"], body.get("version")))


# --- references ---

REFERENCE = re.compile(r"(?<![\w.-])(var|local|module|data\.\w+|(?:aws|helm|random)_\w+)\.([\w-]+)((?:\[[^]]*\]|\.[\w-]+)*)")


def first_attribute(rest):
    """.name of what follows a reference, past an index; None when the whole is meant."""
    match = re.match(r"(?:\[[^]]*\])?\.([\w-]+)", rest)
    return match[1] if match else None


def reference_problems(module, modules):
    """Everything that is referred to exists; every variable and local is used."""
    used = set()
    for kind, name, rest in REFERENCE.findall(module.code):
        used.add((kind, name))
        problem = reference_problem(module, modules, kind, name, first_attribute(rest))
        if problem:
            yield f"{module.name}: {kind}.{name}{rest}: {problem}"
    yield from (f"{module.name}: variable {name} is not used" for name in sorted(module.variables()) if ("var", name) not in used)
    yield from (f"{module.name}: local {name} is not used" for name in sorted(module.locals) if ("local", name) not in used)


def reference_problem(module, modules, kind, name, attribute):
    if kind == "var":
        return None if name in module.variables() else "there is no such variable"
    if kind == "local":
        return None if name in module.locals else "there is no such local"
    if kind == "module":
        return module_problem(module, modules, name, attribute)
    where, type_ = ("data", kind[5:]) if kind.startswith("data.") else ("resource", kind)
    if name not in module.tree.get(where, {}).get(type_, {}):
        return f"there is no such {where}"
    schema = terraform_files.schema(where, type_)
    if attribute and schema and attribute not in schema.attributes:
        return f"it has no attribute {attribute}"
    return None


def module_problem(module, modules, name, attribute):
    if name not in module.calls():
        return "there is no such module"
    called = callee(module, module.calls()[name], modules)
    if called is None or attribute is None:
        return None
    outputs = called.outputs() if isinstance(called, terraform_files.Module) else called[1]
    return None if attribute in outputs else f"it has no output {attribute}"


def output_problems(modules):
    """Outputs of modules, other than those that a person applies, which nothing reads."""
    read = {}
    for module in modules.values():
        for kind, name, rest in REFERENCE.findall(module.code):
            called = callee(module, module.calls()[name], modules) if kind == "module" and name in module.calls() else None
            if isinstance(called, terraform_files.Module):
                read.setdefault(called.folder, set()).add(first_attribute(rest))
    for folder, module in modules.items():
        if folder in read and None not in read[folder]:
            yield from (f"{module.name}: output {name} is not read" for name in sorted(module.outputs() - read[folder]))


# --- versions, rights, networks ---

def pin_problems(module):
    for block in module.tree.get("terraform", []):
        for providers in block.get("required_providers", []):
            for name, entry in providers.items():
                if not re.match(r"^(~> |= )?\d+\.\d+(\.\d+)?$", entry.get("version", "")):
                    yield f"{module.name}: provider {name} is not pinned"
    if not any("required_version" in block for block in module.tree.get("terraform", [])):
        yield f"{module.name}: Terraform's own version is not said"
    for name, body in module.calls().items():
        if not body["source"].startswith(".") and not re.match(r"^\d+\.\d+\.\d+$", body.get("version", "")):
            yield f"{module.name}: module {name} is not pinned"
    for type_, name, body in blocks(module.tree, "resource"):
        local_chart = str(body.get("chart", "")).startswith("${path.module}")
        if type_ == "helm_release" and not local_chart and not re.search(r"\d|\.version}$", str(body.get("version", ""))):
            yield f"{module.name}: {type_}.{name} is not pinned"


def as_list(value):
    return value if isinstance(value, list) else [value]


def statement_problems(where, statement):
    """Of one IAM statement, in Terraform's words or in JSON's."""
    lower = {key.lower(): value for key, value in statement.items()}
    actions = as_list(lower.get("actions", lower.get("action", [])))
    resources = as_list(lower.get("resources", lower.get("resource", [])))
    if lower.get("effect", "Allow") == "Allow" and "*" in resources:
        yield from (f"{where}: {action} on every resource" for action in actions if "*" in action)
    if lower.get("effect", "Allow") == "Allow" and any(action == "*" for action in actions):
        yield f"{where}: every action"


def iam_problems(module):
    for type_, name, body in blocks(module.tree, "data"):
        if type_ == "aws_iam_policy_document":
            for statement in body.get("statement", []):
                yield from statement_problems(f"{module.name}: {name}", statement)


def ingress_problems(module):
    everywhere = ("0.0.0.0/0", "::/0")
    for type_, name, body in blocks(module.tree, "resource"):
        rules = [body] if "ingress_rule" in type_ or body.get("type") == "ingress" else body.get("ingress", [])
        for rule in rules:
            open_to = [text for value in rule.values() for text in as_list(value) if text in everywhere]
            yield from (f"{module.name}: {type_}.{name} is open to {text}" for text in open_to)
    for name, body in module.calls().items():
        if set(everywhere) & set(map(str, as_list(body.get("endpoint_public_access_cidrs", [])))):
            yield f"{module.name}: module {name} opens the Kubernetes API to all"
