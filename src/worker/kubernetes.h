/* What a worker asks of the Kubernetes API: to set what its pod's end would cost, to cordon a broken node, and to
 * replace its pod. Inside a pod the address comes from KUBERNETES_SERVICE_HOST and _PORT, the token, the CA and the
 * namespace from the service account's mount (MELA_KUBERNETES_MOUNT for another folder), the pod's name from POD_NAME
 * or HOSTNAME, the node's from NODE_NAME. Private to this room and the command check. */
#pragma once

#include "base/buffer.h"
#include "base/json.h"

struct kubernetes;

/* NULL without an error outside of a cluster. For one thread. */
struct kubernetes *kubernetes_open(void);
void kubernetes_close(struct kubernetes *kubernetes);
DEFINE_CLEANUP(struct kubernetes *, kubernetes_close)
#define _cleanup_kubernetes_ _cleanup_(kubernetes_close_cleanup)
/* Sets the annotation controller.kubernetes.io/pod-deletion-cost of the own pod: of the pods that a ReplicaSet can end
 * it ends the cheapest. Needs the right to patch pods. io. */
bool kubernetes_set_deletion_cost(struct kubernetes *kubernetes, int cost, struct error *err) must_check;
/* Cordons the own node, so that it gets no more pods, and writes `reason` into its annotation mela/cordoned. When
 * `most` nodes of the cluster are cordoned already, whoever did it, it does nothing and *done is false: an image that
 * fails everywhere must not stop everything. Needs the right to get, list and patch nodes. usage without NODE_NAME, io.
 */
bool kubernetes_cordon(struct kubernetes *kubernetes, const char *reason, int most, bool *done,
                       struct error *err) must_check;
/* Deletes the own pod, so that its ReplicaSet makes another one, on another node if this one is cordoned: a pod that
 * fails its init containers stays where it is. Needs the right to delete pods. usage without POD_NAME, io. */
bool kubernetes_delete_pod(struct kubernetes *kubernetes, struct error *err) must_check;

/* The parts that need no cluster. */

/* The JSON of an answer to the request `what`, "GET /api/v1/nodes"; a new reference. io, with the API's own message,
 * when it is a refusal or no JSON. */
json_t *kubernetes_read_answer(const char *what, long status, const struct buffer *body, struct error *err) must_check;
/* How many nodes of a NodeList are not `own`. */
int kubernetes_count_others(const json_t *nodes, const char *own);
