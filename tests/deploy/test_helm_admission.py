"""The admission policies, evaluated by a CEL interpreter on the requests that a worker's token could make."""
import copy

from . import helm_chart
from .helm_chart import variant

NODE = {"kind": "Node", "metadata": {"name": "node-1", "labels": {"mela/pool": "lipsync"}, "annotations": {"other": "1"}},
        "spec": {"providerID": "aws:///i-1", "taints": [{"key": "nvidia.com/gpu", "value": "true", "effect": "NoSchedule"}]}}
POD = {"kind": "Pod", "metadata": {"name": "worker-1", "labels": {"mela/pool": "lipsync"}, "annotations": {"other": "1"}},
       "spec": {"nodeName": "node-1", "containers": [{"name": "worker", "image": "a"}]}}
COST = "controller.kubernetes.io/pod-deletion-cost"


def request(before, change, user="mela-worker-gpu", node="node-1", pod="worker-1", namespace="mela"):
    after = copy.deepcopy(before)
    change(after)
    bound = {"authentication.kubernetes.io/node-name": [node], "authentication.kubernetes.io/pod-name": [pod]}
    extra = {key: value for key, value in bound.items() if value != [None]}
    user_info = {"username": f"system:serviceaccount:{namespace}:{user}", "extra": extra}
    return {"object": after, "oldObject": before,
            "request": {"operation": "UPDATE", "name": before["metadata"]["name"], "userInfo": user_info}}


def denials(policy, *requests):
    """For each request the messages that deny it, or None where the policy is about others."""
    spec = variant("default").one("ValidatingAdmissionPolicy", policy)["spec"]
    return helm_chart.node("cel.mjs", {"policy": spec, "requests": requests})


def cordon(node):
    node["spec"]["unschedulable"] = True
    node["metadata"]["annotations"]["mela/cordoned"] = "the card is sick"


def uncordon(node):
    del node["spec"]["unschedulable"], node["metadata"]["annotations"]["mela/cordoned"]


def without_annotations(item):
    return {**item, "metadata": {key: value for key, value in item["metadata"].items() if key != "annotations"}}


def first_annotation(node):
    node["spec"]["unschedulable"] = True
    node["metadata"]["annotations"] = {"mela/cordoned": "the card is sick"}


def test_a_worker_cordons_its_node_and_takes_it_back():
    cordoned = copy.deepcopy(NODE)
    cordon(cordoned)
    assert denials("mela-cordon", request(NODE, cordon), request(cordoned, uncordon),
                   request(without_annotations(NODE), first_annotation)) == [[], [], []]


def test_it_cordons_no_other_node():
    foreign, unbound = denials("mela-cordon", request(NODE, cordon, node="node-2"), request(NODE, cordon, node=None))
    assert foreign == unbound == ["a worker may cordon only the node that it runs on"]


def test_it_changes_nothing_else_of_its_node():
    changes = [lambda n: n["spec"].update(taints=[]), lambda n: n["spec"].pop("taints"),
               lambda n: n["metadata"]["labels"].update(a="b"), lambda n: n["metadata"].pop("labels"),
               lambda n: n["metadata"]["annotations"].update(other="2"),
               lambda n: n["metadata"]["annotations"].pop("other"), lambda n: n["metadata"]["annotations"].update(new="1"),
               lambda n: n["metadata"].pop("annotations")]
    assert all(len(found) == 1 for found in denials("mela-cordon", *(request(NODE, change) for change in changes)))


def test_others_are_not_the_policys_business():
    assert denials("mela-cordon", request(NODE, cordon, user="mela-worker-cpu"), request(NODE, cordon, namespace="other"),
                   request(NODE, cordon, user="cluster-autoscaler", namespace="kube-system")) == [None, None, None]
    assert denials("mela-deletion-cost", request(POD, lambda p: p["spec"].update(containers=[]), user="deployer")) == [None]


def set_cost(pod):
    pod["metadata"].setdefault("annotations", {})[COST] = "1000"


def test_a_worker_sets_its_own_deletion_cost():
    for user in ("mela-worker-cpu", "mela-worker-gpu"):
        own, first, foreign, unbound = denials(
            "mela-deletion-cost", request(POD, set_cost, user=user), request(without_annotations(POD), set_cost, user=user),
            request(POD, set_cost, user=user, pod="worker-2"), request(POD, set_cost, user=user, pod=None))
        assert own == first == []
        assert foreign == unbound == ["a worker may change only its own pod"]


def test_it_changes_nothing_else_of_its_pod():
    changes = [lambda p: p["spec"]["containers"][0].update(image="evil"),
               lambda p: p["metadata"]["labels"].update({"mela/pool": "cpu"}), lambda p: p["metadata"]["annotations"].update(other="2"), lambda p: p["metadata"]["annotations"].pop("other")]
    assert all(len(found) == 1 for found in denials("mela-deletion-cost", *(request(POD, change) for change in changes)))


def deletion(**who):
    return {**(asked := request(POD, lambda pod: None, **who)), "object": None,
            "request": {**asked["request"], "operation": "DELETE"}}


def test_a_gpu_worker_deletes_its_own_pod_alone():
    own, foreign, unbound, other = denials("mela-leave-node", deletion(), deletion(pod="worker-2"), deletion(pod=None),
                                           deletion(user="replicaset-controller", namespace="kube-system"))
    assert own == [] and foreign == unbound == ["a worker may delete only its own pod"] and other is None


def test_all_policies_are_bound_and_deny(objects):
    bindings = [item["spec"] for item in objects.of("ValidatingAdmissionPolicyBinding")]
    bound = {item["policyName"]: item["validationActions"] for item in bindings}
    assert bound == {"mela-cordon": ["Deny"], "mela-deletion-cost": ["Deny"], "mela-leave-node": ["Deny"]}
    for item in objects.of("ValidatingAdmissionPolicy"):
        assert item["metadata"]["name"] in bound and item["spec"]["failurePolicy"] == "Fail"
        [rule] = item["spec"]["matchConstraints"]["resourceRules"]
        # What RBAC gives: patch of these, which is an UPDATE to admission, and delete of pods.
        assert (rule["operations"], rule["resources"]) in [(["UPDATE"], ["nodes"]), (["UPDATE"], ["pods"]), (["DELETE"], ["pods"])]
