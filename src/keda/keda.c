#include "keda/keda.h"

#include <string.h>

#include "base/memory.h"
#include "keda/grpc.h"
#include "keda/messages.h"
#include "scale/demand.h"

struct keda {
    char *farm;
    struct demand *demand;
    const struct scale_policies *policies;
    struct grpc_server *server;
};

/* The workers that a ScaledObject scales. */
struct target {
    enum pool pool;
    int class; /* or DEMAND_ALL */
};

static enum grpc_status keda_read_target(const struct keda *keda, const struct scaled_object *object,
                                         struct target *target, struct error *err) {
    enum campaign_class class;
    target->class = DEMAND_ALL;
    if (object->farm[0] && strcmp(object->farm, keda->farm) != 0) {
        error_set(err, ERR_API_NOT_FOUND,
                  "this scaler watches the farm \"%s\", not \"%s\": correct \"namespace\" in the metadata", keda->farm,
                  object->farm);
        return GRPC_NOT_FOUND;
    }
    if (!pool_parse(object->pool, &target->pool)) {
        error_set(err, ERR_API_BAD_REQUEST, "\"%s\" is no pool: set the metadata's \"pool\" to one that mela has",
                  object->pool);
        return GRPC_INVALID_ARGUMENT;
    }
    if (object->class[0] && !campaign_class_parse(object->class, &class)) {
        error_set(err, ERR_API_BAD_REQUEST, "\"%s\" is no class: set \"class\" to urgent or batch, or leave it out",
                  object->class);
        return GRPC_INVALID_ARGUMENT;
    }
    if (object->class[0])
        target->class = (int)class;
    return GRPC_OK;
}

static enum grpc_status keda_read_desired(const struct keda *keda, const struct target *target, int *desired,
                                          struct error *err) {
    struct pool_counts counts;
    if (!demand_get(keda->demand, target->pool, &counts)) {
        error_set(err, ERR_QUEUE_UNAVAILABLE, "Redis has not answered yet");
        return GRPC_UNAVAILABLE;
    }
    const struct scale_rule *rule =
        keda->policies ? &keda->policies->pools[target->pool].rule : scale_rule_usual(target->pool);
    *desired = demand_desired(rule, &counts, target->class);
    return GRPC_OK;
}

static char *keda_metric_name(const struct target *target) {
    bool all = target->class == DEMAND_ALL;
    return xasprintf("mela-%s%s%s", pool_name(target->pool), all ? "" : "-",
                     all ? "" : campaign_class_name((enum campaign_class)target->class));
}

static enum grpc_status keda_is_active(void *context, const void *request, size_t length, struct buffer *reply,
                                       struct error *err) {
    struct scaled_object object;
    struct target target;
    int desired;
    if (!message_read_object(request, length, &object, err))
        return GRPC_INVALID_ARGUMENT;
    enum grpc_status status = keda_read_target(context, &object, &target, err);
    if (status == GRPC_OK)
        status = keda_read_desired(context, &target, &desired, err);
    if (status == GRPC_OK)
        message_write_active(reply, desired > 0);
    return status;
}

/* Needs no Redis: KEDA's fallback works only while this answers (kedacore/keda#8056). */
static enum grpc_status keda_get_metric_spec(void *context, const void *request, size_t length, struct buffer *reply,
                                             struct error *err) {
    struct scaled_object object;
    struct target target;
    if (!message_read_object(request, length, &object, err))
        return GRPC_INVALID_ARGUMENT;
    enum grpc_status status = keda_read_target(context, &object, &target, err);
    if (status != GRPC_OK)
        return status;
    _cleanup_free_ char *metric = keda_metric_name(&target);
    message_write_spec(reply, metric, 1);
    return GRPC_OK;
}

static enum grpc_status keda_get_metrics(void *context, const void *request, size_t length, struct buffer *reply,
                                         struct error *err) {
    struct scaled_object object;
    struct target target;
    char metric[MESSAGE_TEXT_MAX + 1];
    int desired;
    if (!message_read_metrics_request(request, length, &object, metric, err))
        return GRPC_INVALID_ARGUMENT;
    enum grpc_status status = keda_read_target(context, &object, &target, err);
    if (status == GRPC_OK)
        status = keda_read_desired(context, &target, &desired, err);
    if (status != GRPC_OK)
        return status;
    _cleanup_free_ char *usual = keda_metric_name(&target);
    message_write_value(reply, metric[0] ? metric : usual, desired);
    return GRPC_OK;
}

#define METHOD(name) "/externalscaler.ExternalScaler/" name
static const struct grpc_method methods[] = {{METHOD("IsActive"), false, keda_is_active},
                                             {METHOD("StreamIsActive"), true, keda_is_active},
                                             {METHOD("GetMetricSpec"), false, keda_get_metric_spec},
                                             {METHOD("GetMetrics"), false, keda_get_metrics},
                                             {0}};

static void keda_free(struct keda *keda) {
    if (keda->server)
        grpc_stop(keda->server);
    if (keda->demand)
        demand_stop(keda->demand);
    free(keda->farm);
    free(keda);
}

struct keda *keda_start(const struct keda_options *options, struct error *err) {
    struct keda *keda = xnew(struct keda);
    const struct grpc_options server = {.address = options->address,
                                        .certificate = options->certificate,
                                        .key = options->key,
                                        .ca = options->ca,
                                        .methods = methods,
                                        .context = keda};
    keda->policies = options->policies;
    keda->farm = xstrdup(options->queue.farm ? options->queue.farm : "mela");
    keda->demand = demand_start(&options->queue, err);
    if (keda->demand)
        keda->server = grpc_start(&server, err);
    if (!keda->server) {
        keda_free(keda);
        return NULL;
    }
    demand_notify(keda->demand, grpc_wake(keda->server));
    return keda;
}

int keda_port(const struct keda *keda) { return grpc_port(keda->server); }

void keda_stop(struct keda *keda) {
    demand_notify(keda->demand, -1); /* before the server closes the descriptor */
    keda_free(keda);
}
