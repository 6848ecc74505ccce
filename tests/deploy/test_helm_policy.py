"""What every rendering has to keep to, whatever the profile and the switches."""
import json
import re

import pytest

from . import helm_chart
from .helm_chart import containers, flags, labels_match, pod, variant

GPU_TAINT = {"key": "nvidia.com/gpu", "operator": "Equal", "value": "true", "effect": "NoSchedule"}


def template_labels(workload):
    return workload["spec"]["template"]["metadata"]["labels"]


def test_each_container_is_bounded_and_confined(objects):
    for workload in objects.workloads():
        for one in containers(workload):
            limits, requests = one["resources"]["limits"], one["resources"]["requests"]
            assert {"cpu", "memory"} <= set(limits) and {"cpu", "memory"} <= set(requests), one["name"]
            security = one["securityContext"]
            assert security["readOnlyRootFilesystem"] is True and security["allowPrivilegeEscalation"] is False
            assert security["capabilities"] == {"drop": ["ALL"]} and not security.get("privileged")


def test_pods_run_as_nobody_in_particular(objects):
    for workload in objects.workloads():
        spec = pod(workload)
        security = spec["securityContext"]
        assert security["runAsNonRoot"] is True and security["seccompProfile"] == {"type": "RuntimeDefault"}
        assert (security["runAsUser"], security["runAsGroup"], security["fsGroup"]) == (65532, 65532, 65532)
        assert not any(spec.get(what) for what in ("hostNetwork", "hostPID", "hostIPC"))
        for volume in spec["volumes"]:  # what the Pod Security Standard `restricted` lets pass
            assert set(volume) - {"name"} <= {"configMap", "emptyDir", "secret"}


def test_images_are_named_with_a_version(objects):
    for workload in objects.workloads():
        for one in containers(workload):
            assert re.fullmatch(r"[^@ ]+(:[\w][\w.-]*|@sha256:[0-9a-f]{64})", one["image"]), one["image"]
            assert not one["image"].endswith(":latest")


def test_a_digest_goes_before_the_tag():
    made = variant("digests")
    images = {item["metadata"]["name"]: pod(item)["containers"][0]["image"] for item in made.workloads()}
    assert images["mela-api"] == f"registry.example/mela-control@{helm_chart.DIGEST}"
    assert images["mela-worker-cpu"] == "registry.example/mela-worker-cpu:1.2.3"


def test_containers_that_stay_have_all_probes(objects):
    for workload in objects.workloads():
        for one in pod(workload)["containers"]:
            ports = {port["name"] for port in one["ports"]}
            for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
                check = one[probe]
                assert check.get("exec") or (check.get("httpGet") or check.get("tcpSocket"))["port"] in ports
            assert one["startupProbe"] != one["livenessProbe"]


def test_what_is_written_to_is_a_volume(objects):
    for workload in objects.workloads():
        volumes = {volume["name"] for volume in pod(workload)["volumes"]}
        volumes |= {claim["metadata"]["name"] for claim in workload["spec"].get("volumeClaimTemplates", [])}
        for one in containers(workload):
            mounts = {mount["mountPath"]: mount for mount in one["volumeMounts"]}
            assert {mount["name"] for mount in mounts.values()} <= volumes
            assert "/tmp" in mounts
            for flag, value in flags(one).items() if one["args"][0] in ("run", "check", "models") else ():
                assert flag not in ("work", "models") or (value in mounts and not mounts[value].get("readOnly"))
            data = [item["value"] for item in one["env"] if item["name"] == "MELA_DATA"]
            assert set(data) <= set(mounts)
        for volume in pod(workload)["volumes"]:
            assert "emptyDir" not in volume or volume["emptyDir"]["sizeLimit"]


def test_selectors_find_their_pods_and_only_theirs(objects):
    labels = {item["metadata"]["name"]: template_labels(item) for item in objects.workloads()}

    def found(selector):
        return [name for name, of_pod in labels.items() if labels_match(selector, of_pod)]

    for workload in objects.workloads():
        assert found(workload["spec"]["selector"]["matchLabels"]) == [workload["metadata"]["name"]]
        for constraint in pod(workload).get("topologySpreadConstraints", []):
            assert found(constraint["labelSelector"]["matchLabels"]) == [workload["metadata"]["name"]]
    for budget in objects.of("PodDisruptionBudget"):
        assert found(budget["spec"]["selector"]["matchLabels"]) == [budget["metadata"]["name"]]
    for service in objects.of("Service"):
        assert len(found(service["spec"]["selector"])) == 1


def test_services_lead_to_ports_that_are_there(objects):
    for service in objects.of("Service"):
        [workload] = [item for item in objects.workloads() if labels_match(service["spec"]["selector"], template_labels(item))]
        ports = {port["name"]: port["containerPort"] for one in pod(workload)["containers"] for port in one["ports"]}
        for port in service["spec"]["ports"]:
            assert ports[port["targetPort"]] == port["port"]


def test_ports_are_those_that_the_programs_listen_on(objects):
    api = helm_chart.container(objects.one("Deployment", "mela-api"), "api")
    ports = {port["name"]: port["containerPort"] for port in api["ports"]}
    assert flags(api)["listen"] == f"0.0.0.0:{ports['http']}" and ports["http"] == 7420
    assert flags(api)["scaler-listen"] == f"0.0.0.0:{ports['scaler']}" and ports["scaler"] == 7421
    for worker in objects.workers():
        one = helm_chart.container(worker, "worker")
        assert one["ports"] == [{"name": "metrics", "containerPort": 7422}] and flags(one)["metrics-listen"] == "0.0.0.0:7422"


def test_the_scaler_is_found_by_name_and_stays_there_when_redis_is_away(objects):
    service = objects.one("Service", "mela-scaler")["spec"]
    assert service["clusterIP"] == "None" and service["publishNotReadyAddresses"] is True
    for item in objects.of("ScaledObject"):
        for trigger in item["spec"]["triggers"]:
            assert trigger["metadata"]["scalerAddress"] == "mela-scaler.mela.svc:7421"


def test_two_servers_on_two_nodes(default):
    api = default.one("Deployment", "mela-api")
    assert api["spec"]["replicas"] == 2
    [host] = [c for c in pod(api)["topologySpreadConstraints"] if c["topologyKey"] == "kubernetes.io/hostname"]
    assert host["whenUnsatisfiable"] == "DoNotSchedule" and host["maxSkew"] == 1


def test_a_change_of_the_farm_restarts_the_servers():
    def sum_of(name):
        return variant(name).one("Deployment", "mela-api")["spec"]["template"]["metadata"]["annotations"]["checksum/farm"]
    assert sum_of("default") == sum_of("prod") != sum_of("staging")
    assert sum_of("no-quiet-hours") != sum_of("default")


def test_disruption_budgets(objects):
    budgets = {item["metadata"]["name"]: item["spec"]["maxUnavailable"] for item in objects.of("PodDisruptionBudget")}
    expected = {item["metadata"]["name"] for item in objects.of("Deployment")}
    assert set(budgets) == expected and set(budgets.values()) == {1}
    assert all(item["spec"]["unhealthyPodEvictionPolicy"] == "AlwaysAllow" for item in objects.of("PodDisruptionBudget"))


def test_the_drain_fits_into_the_grace_period(objects):
    spot = 0
    for worker in objects.workers():
        grace = int(flags(helm_chart.container(worker, "worker"))["grace-ms"])
        period = pod(worker)["terminationGracePeriodSeconds"]
        assert period * 1000 == grace + 30000
        if pod(worker).get("nodeSelector", {}).get("mela/market") == "spot":
            spot += 1
            assert period < 120  # the notice of a spot instance
    assert spot or not any("mela/market" in pod(worker).get("nodeSelector", {}) for worker in objects.workers())


def gpu_workers(objects):
    return [item for item in objects.workers() if "nvidia.com/gpu" in helm_chart.container(item, "worker")["resources"]["limits"]]


# Node of a pool: cards, CPUs, GiB. A pod takes all its cards, and its request leaves the node some of the rest.
NODES = {"lipsync": (1, 8, 32), "image": (4, 48, 192), "train": (1, 8, 32)}


def test_gpu_pods(objects):
    for worker in gpu_workers(objects):
        cards, cpus, memory = NODES[template_labels(worker)["mela/pool"]]
        resources = helm_chart.container(worker, "worker")["resources"]
        assert resources["limits"]["nvidia.com/gpu"] == cards
        assert int(resources["requests"]["cpu"]) < cpus >= int(resources["limits"]["cpu"])
        assert int(resources["requests"]["memory"].removesuffix("Gi")) <= 0.8 * memory
        assert int(resources["limits"]["memory"].removesuffix("Gi")) <= memory
        assert GPU_TAINT in pod(worker)["tolerations"]
        assert pod(worker)["serviceAccountName"] == "mela-worker-gpu"


def test_each_card_of_a_pod_is_checked_and_worked_on(objects):
    for worker in gpu_workers(objects):
        cards = helm_chart.container(worker, "worker")["resources"]["limits"]["nvidia.com/gpu"]
        devices = [f"cuda:{card}" for card in range(cards)]
        assert flags(helm_chart.container(worker, "worker"))["device"].split(",") == devices
        checks = [one for one in pod(worker)["initContainers"] if one["name"].startswith("check")]
        assert [flags(check)["device"] for check in checks] == devices
        for check in checks:
            assert check["args"][0] == "check" and "cordon" in flags(check)
            assert check["resources"]["limits"]["nvidia.com/gpu"] == cards
            assert {"POD_NAME", "NODE_NAME"} <= {item["name"] for item in check["env"]}
        before = [one["name"] for one in pod(worker)["initContainers"] if one not in checks]
        assert before in (["models"], []) and pod(worker)["initContainers"][-cards:] == checks  # a check runs a network


def test_a_pod_of_pictures_does_four_jobs_at_once():
    for name in ("prod", "all-pools"):
        one = helm_chart.container(variant(name).one("Deployment", "mela-worker-image"), "worker")
        assert flags(one)["device"] == "cuda:0,cuda:1,cuda:2,cuda:3" and flags(one)["slots"] == "1"
        assert variant(name).scaled(variant(name).one("Deployment", "mela-worker-image"))["minReplicaCount"] == 1


def test_workers_on_the_cpu_have_no_card(objects):
    for worker in objects.workers():
        if worker not in gpu_workers(objects):
            assert not pod(worker).get("tolerations") and pod(worker)["serviceAccountName"] == "mela-worker-cpu"
            assert not [one["name"] for one in containers(worker) if one["name"].startswith("check")]
            assert flags(helm_chart.container(worker, "worker"))["device"] == "cpu"


def test_kind_needs_no_gpu_and_no_cloud():
    made = variant("kind")
    assert gpu_workers(made) == [] and made.workers()
    assert not any(pod(item).get("nodeSelector") for item in made.workloads())
    assert not any(item["apiVersion"].startswith("monitoring.") for item in made.all)
    env = {item["name"]: item.get("value") for item in helm_chart.container(made.one("Deployment", "mela-api"), "api")["env"]}
    assert env["MELA_S3_ENDPOINT"].startswith("http://") and "file:" not in env["MELA_STORE"]


def expected_workers():
    """Deployment: pool, class, market, priority, image."""
    return {"mela-worker-cpu": ("cpu", "any", "on-demand", "batch", "mela-worker-cpu"),
            "mela-worker-lipsync-urgent": ("lipsync", "urgent", "on-demand", "urgent", "mela-worker-cuda"),
            "mela-worker-lipsync-batch": ("lipsync", "batch", "spot", "batch", "mela-worker-cuda"),
            "mela-worker-image": ("image", "any", "on-demand", "batch", "mela-worker-cuda"),
            "mela-worker-train": ("train", "any", "spot", "batch", "mela-trainer")}


def test_workers_by_pool_and_class():
    made = {}
    for worker in variant("all-pools").workers():
        spec, labels = pod(worker), template_labels(worker)
        assert spec["nodeSelector"]["mela/pool"] == labels["mela/pool"]
        assert flags(helm_chart.container(worker, "worker"))["pools"] == labels["mela/pool"]
        assert flags(helm_chart.container(worker, "worker")).get("class", "any") == labels["mela/class"]
        image = spec["containers"][0]["image"].split("/")[1].split(":")[0]
        made[worker["metadata"]["name"]] = (labels["mela/pool"], labels["mela/class"], spec["nodeSelector"]["mela/market"],
                                            spec["priorityClassName"].removeprefix("mela-"), image)
    assert made == expected_workers()
    made = {name: {item["metadata"]["name"].removeprefix("mela-worker-") for item in variant(name).workers()}
            for name in ("default", "prod", "staging", "kind")}
    assert made == {"default": {"cpu", "lipsync-urgent", "lipsync-batch"}, "staging": {"cpu", "lipsync-batch"},
                    "prod": {"cpu", "lipsync-urgent", "lipsync-batch", "image"}, "kind": {"cpu", "lipsync-batch"}}


def test_priorities(objects):
    classes = {item["metadata"]["name"]: item for item in objects.of("PriorityClass")}
    assert classes["mela-urgent"]["value"] == 1000 and classes["mela-batch"]["value"] == 100
    assert classes["mela-batch"]["preemptionPolicy"] == "Never" and "preemptionPolicy" not in classes["mela-urgent"]
    for worker in objects.workers():
        preempts = classes[pod(worker)["priorityClassName"]].get("preemptionPolicy") != "Never"
        assert not preempts or pod(worker)["tolerations"]  # only on tainted nodes, where nothing of the platform can be hit


def test_replicas_of_workers_are_kedas(objects):
    for worker in objects.workers():
        assert "replicas" not in worker["spec"] and worker["spec"]["strategy"]["rollingUpdate"]["maxSurge"] == 0
        assert objects.scaled(worker)["scaleTargetRef"] == {"name": worker["metadata"]["name"]}


def test_environment_holds_no_secret(objects):
    for workload in objects.workloads():
        for one in containers(workload):
            for item in one["env"]:
                secret = item["name"] in ("MELA_REDIS", "REDISCLI_AUTH")
                assert secret == ("secretKeyRef" in item.get("valueFrom", {})) and (secret or "KEY" not in item["name"])
    assert objects.of("Secret") == []


def test_roles_name_what_they_allow(objects):
    rules = [rule for item in objects.of("Role") + objects.of("ClusterRole") for rule in item["rules"]]
    assert not any("*" in rule[part] for rule in rules for part in ("apiGroups", "resources", "verbs"))
    given = {(item["kind"], item["metadata"]["name"]): [(rule["apiGroups"], rule["resources"], rule["verbs"]) for rule in item["rules"]]
             for item in objects.of("Role") + objects.of("ClusterRole")}
    assert given == {("Role", "mela-deletion-cost"): [([""], ["pods"], ["patch"])],
                     ("Role", "mela-leave-node"): [([""], ["pods"], ["delete"])],
                     ("ClusterRole", "mela-cordon"): [([""], ["nodes"], ["get", "list", "patch"])]}
    bindings = objects.of("RoleBinding") + objects.of("ClusterRoleBinding")
    who = {binding["roleRef"]["name"]: [subject["name"] for subject in binding["subjects"]] for binding in bindings}
    assert who == {"mela-deletion-cost": ["mela-worker-cpu", "mela-worker-gpu"], "mela-leave-node": ["mela-worker-gpu"],
                   "mela-cordon": ["mela-worker-gpu"]}
    assert all(subject["namespace"] == "mela" for binding in bindings for subject in binding["subjects"])


def test_service_accounts(objects):
    accounts = {item["metadata"]["name"] for item in objects.of("ServiceAccount")}
    assert accounts == {"mela-api", "mela-worker-cpu", "mela-worker-gpu"}
    assert not any("annotations" in item["metadata"] for item in objects.of("ServiceAccount"))
    for workload in objects.workloads():
        spec = pod(workload)
        needs_kubernetes = workload in objects.workers()
        assert spec.get("automountServiceAccountToken", True) == needs_kubernetes
        assert spec.get("serviceAccountName") in accounts or workload["kind"] == "StatefulSet"


# --- network ---

def policies_for(objects, workload, direction):
    return [item for item in objects.of("NetworkPolicy") if direction in item["spec"]["policyTypes"]
            and labels_match(item["spec"]["podSelector"]["matchLabels"], template_labels(workload))]


def rules_for(objects, workload, direction):
    return [rule for item in policies_for(objects, workload, direction) for rule in item["spec"].get(direction.lower(), [])]


def ports_of(rules):
    return {port["port"] for rule in rules for port in rule["ports"]}


def with_policies():
    return [name for name in helm_chart.VARIANTS if name != "bare"]


@pytest.mark.parametrize("name", with_policies())
def test_every_pod_is_denied_by_default_and_has_a_policy_of_its_own(name):
    objects = variant(name)
    for workload in objects.workloads():
        names = {item["metadata"]["name"] for item in policies_for(objects, workload, "Ingress")}
        assert names == {"mela-default-deny", workload["metadata"]["name"]}
        assert "mela-dns" in {item["metadata"]["name"] for item in policies_for(objects, workload, "Egress")}
    deny = objects.one("NetworkPolicy", "mela-default-deny")["spec"]
    assert set(deny["policyTypes"]) == {"Ingress", "Egress"} and "ingress" not in deny and "egress" not in deny


@pytest.mark.parametrize("name", with_policies())
def test_what_comes_in_are_the_ports_that_are_open(name):
    objects = variant(name)
    for workload in objects.workloads():
        declared = {port["containerPort"] for one in pod(workload)["containers"] for port in one["ports"]}
        assert ports_of(rules_for(objects, workload, "Ingress")) == declared


@pytest.mark.parametrize("name", with_policies())
def test_what_goes_out(name):
    objects = variant(name)
    store = {9000} if name.startswith("kind") else set()
    for workload in objects.workloads():
        rules = rules_for(objects, workload, "Egress")
        kubernetes = {6443} if name.startswith("kind") and workload in objects.workers() else set()
        farm = {53} if workload["kind"] == "StatefulSet" else {53, 6379, 443, 80} | store | kubernetes
        assert ports_of(rules) == farm
        for rule in rules:
            assert rule["to"]
            for peer in rule["to"]:
                block = peer.get("ipBlock", {"cidr": "10.0.0.0/8"})
                agent = block["cidr"] == "169.254.170.23/32"
                assert block["cidr"] != "0.0.0.0/0" or block["except"] == ["169.254.0.0/16"]  # the instance's metadata
                assert agent == (ports_of([rule]) == {80})
        if workload["kind"] != "StatefulSet" and variant(name).of("StatefulSet"):
            [to_redis] = [rule for rule in rules if ports_of([rule]) == {6379}]
            [redis] = variant(name).of("StatefulSet")
            assert labels_match(to_redis["to"][0]["podSelector"]["matchLabels"], template_labels(redis))


def test_keda_reaches_the_scaler_and_nobody_else_does(default):
    rules = rules_for(default, default.one("Deployment", "mela-api"), "Ingress")
    [scaler] = [rule for rule in rules if ports_of([rule]) == {7421}]
    assert scaler["from"] == [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "keda"}}}]


# --- monitoring ---

def test_prometheus_finds_servers_and_workers():
    made = variant("all-pools")
    [service], [workers] = made.of("ServiceMonitor"), made.of("PodMonitor")
    wanted = service["spec"]["selector"]["matchLabels"]
    found = [item for item in made.of("Service") if labels_match(wanted, item["metadata"]["labels"])]
    assert [item["metadata"]["name"] for item in found] == ["mela-api"]
    assert service["spec"]["endpoints"][0]["port"] in [port["name"] for port in found[0]["spec"]["ports"]]
    match, [exists] = workers["spec"]["selector"]["matchLabels"], workers["spec"]["selector"]["matchExpressions"]
    labelled = [item for item in made.workloads() if labels_match(match, template_labels(item))]
    scraped = [item for item in labelled if exists["key"] in template_labels(item)]
    assert scraped == made.workers() and exists["operator"] == "Exists"
    assert all(item["metadata"]["labels"]["release"] == "kube-prometheus-stack" for item in (service, workers))


def test_only_the_api_is_published():
    [ingress] = variant("ingress").of("Ingress")
    [rule] = ingress["spec"]["rules"]
    assert rule["host"] == "mela.example" and [path["path"] for path in rule["http"]["paths"]] == ["/v1"]
    assert ingress["spec"]["tls"] == [{"hosts": ["mela.example"], "secretName": "tls"}]
    assert variant("default").of("Ingress") == []


# --- the farm ---

def farm_of(objects):
    return json.loads(objects.one("ConfigMap", "mela-farm")["data"]["farm.json"])


def test_the_number_of_replicas_is_the_farms(objects):
    pools = farm_of(objects)["pools"]
    for worker in objects.workers():
        scaled, most = objects.scaled(worker), pools.get(template_labels(worker)["mela/pool"], {"max": 20})["max"]
        assert scaled["maxReplicaCount"] == most and scaled["idleReplicaCount"] == 0
        assert 1 <= scaled["minReplicaCount"] <= most


def test_scaling_by_default(default):
    for worker in default.workers():
        scaled = default.scaled(worker)
        assert (scaled["idleReplicaCount"], scaled["minReplicaCount"], scaled["maxReplicaCount"]) == (0, 2, 20)
        assert scaled["cooldownPeriod"] == 300 and "fallback" not in scaled
        behaviour = scaled["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]
        assert behaviour["scaleUp"] == {"tolerance": "0", "stabilizationWindowSeconds": 0,
                                        "policies": [{"type": "Pods", "value": 20, "periodSeconds": 15}]}
        assert behaviour["scaleDown"] == {"tolerance": "0", "stabilizationWindowSeconds": 300}
        [trigger] = scaled["triggers"]
        labels = template_labels(worker)
        expected = {"scalerAddress": "mela-scaler.mela.svc:7421", "namespace": "mela", "pool": labels["mela/pool"]}
        assert trigger["type"] == "external-push" and trigger["metricType"] == "AverageValue"
        assert trigger["metadata"] == expected | ({} if labels["mela/class"] == "any" else {"class": labels["mela/class"]})


def test_a_null_is_no_quiet_hours_and_not_the_default_ones():
    assert [pool["quiet_hours"] for pool in farm_of(variant("kind"))["pools"].values()] == [None, None, None]
    assert farm_of(variant("default"))["pools"]["lipsync"]["quiet_hours"]["from"] == "23:00"
