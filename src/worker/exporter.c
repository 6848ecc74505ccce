#include "worker/exporter.h"

#include <errno.h>
#include <microhttpd.h>
#include <string.h>

#include "base/address.h"
#include "base/clock.h"
#include "base/exposition.h"
#include "base/log.h"
#include "base/memory.h"
#include "worker/nvml.h"

enum {
    CARDS_MAX = 16,
    CONNECTIONS_MAX = 64,
    CONNECTIONS_PER_PEER = 16, /* so that nobody keeps the others out */
    CONNECTION_MEMORY = 8192,  /* of the request's head; a longer one is refused */
    IDLE_TIMEOUT_S = 10,
    TURN_MAX_MS = 60000,   /* a turn of the supervisor's loop waits for Redis, 30 s at most */
    ANSWER_MAX_MS = 15000, /* it asks once a second */
};

/* Only libmicrohttpd's one thread uses it between start and stop, so it needs no lock. */
struct exporter {
    struct exporter_options options;
    struct MHD_Daemon *daemon;
    struct {
        int index;
        struct nvml *nvml;
    } cards[CARDS_MAX];
    size_t card_count;
};

static int64_t age_ms(const _Atomic int64_t *then) { return clock_monotonic_ms(clock_system()) - atomic_load(then); }

/* ---- the card ---- */

struct card_reading {
    struct nvml_state state;
    int64_t memory_used, last_xid;
};

static const struct {
    const char *name, *help;
    size_t value; /* its offset in the reading */
    double factor;
} card_series[] = {
    {"mela_gpu_utilization_ratio", "Part of the last moments in which the card computed.",
     offsetof(struct card_reading, state.utilization), 0.01},
    {"mela_gpu_memory_used_bytes", "Memory of the card in use, by whomever.",
     offsetof(struct card_reading, memory_used), 1},
    {"mela_gpu_memory_total_bytes", "Memory of the card.", offsetof(struct card_reading, state.memory_total), 1},
    {"mela_gpu_temperature_celsius", "Temperature of the card.", offsetof(struct card_reading, state.temperature), 1},
    {"mela_gpu_power_watts", "Power that the card draws.", offsetof(struct card_reading, state.power_mw), 0.001},
    {"mela_gpu_ecc_uncorrected_errors", "Uncorrected memory errors since the driver was loaded.",
     offsetof(struct card_reading, state.ecc_uncorrected), 1},
    {"mela_gpu_last_xid", "The last critical error (XID) since this worker started; 0: none.",
     offsetof(struct card_reading, last_xid), 1},
};

static void card_read(struct nvml *card, struct card_reading *out) {
    nvml_read(card, &out->state);
    bool knows_memory = out->state.memory_total != NVML_UNKNOWN && out->state.memory_free != NVML_UNKNOWN;
    out->memory_used = knows_memory ? out->state.memory_total - out->state.memory_free : NVML_UNKNOWN;
    out->last_xid = nvml_last_xid(card);
}

/* What the driver does not know is left out. */
static void exporter_write_cards(struct buffer *out, const struct exporter *exporter) {
    _cleanup_free_ struct card_reading *readings = xcalloc(exporter->card_count + 1, sizeof *readings);
    for (size_t i = 0; i < exporter->card_count; i++)
        card_read(exporter->cards[i].nvml, &readings[i]);
    for (size_t series = 0; series < ARRAY_LENGTH(card_series); series++) {
        bool headed = false;
        for (size_t i = 0; i < exporter->card_count; i++) {
            int64_t value;
            char index[16];
            memcpy(&value, (const char *)&readings[i] + card_series[series].value, sizeof value);
            snprintf(index, sizeof index, "%d", exporter->cards[i].index);
            if (value != NVML_UNKNOWN && !headed)
                metric_head(out, card_series[series].name, "gauge", card_series[series].help);
            if (value != NVML_UNKNOWN)
                metric_row(out, card_series[series].name, (double)value * card_series[series].factor, "gpu", index,
                           "uuid", readings[i].state.uuid);
            headed |= value != NVML_UNKNOWN;
        }
    }
}

/* ---- answers ---- */

static unsigned exporter_show_metrics(struct exporter *exporter, struct buffer *out) {
    const struct exporter_options *options = &exporter->options;
    metric_one(out, "mela_worker_busy", "gauge", "1 while this worker has a job.", atomic_load(&options->vitals->busy));
    metric_one(out, "mela_worker_draining", "gauge", "1 while this worker claims no more jobs, to end.",
               atomic_load(&options->vitals->draining));
    enum error_code ill = (enum error_code)atomic_load(&options->vitals->ill);
    metric_head(out, "mela_worker_ill", "gauge", "1 while this worker claims nothing, by a fault of its own.");
    metric_row(out, "mela_worker_ill", ill != ERR_NONE, "code", error_name(ill));
    metric_one(out, "mela_worker_executor_crashes_total", "counter", "Executors that ended in the middle of a job.",
               (double)atomic_load(&options->vitals->crashes));
    metric_one(out, "mela_worker_heartbeat_age_seconds", "gauge", "Time since Redis last answered this worker.",
               (double)age_ms(&options->vitals->answered_ms) / 1000);
    metric_process(out);
    store_metrics(options->store, out);
    exporter_write_cards(out, exporter);
    return MHD_HTTP_OK;
}

/* How long the models may take to load is for the readiness to bound. */
static unsigned exporter_show_health(struct exporter *exporter, struct buffer *out) {
    const struct vitals *vitals = exporter->options.vitals;
    bool alive = atomic_load(&vitals->turned_ms) == 0 || age_ms(&vitals->turned_ms) < TURN_MAX_MS;
    buffer_append_text(out, alive ? "ok\n" : "the supervisor's loop hangs\n");
    return alive ? MHD_HTTP_OK : MHD_HTTP_SERVICE_UNAVAILABLE;
}

static unsigned exporter_show_readiness(struct exporter *exporter, struct buffer *out) {
    const struct vitals *vitals = exporter->options.vitals;
    bool loaded = atomic_load(&vitals->loaded), answered = age_ms(&vitals->answered_ms) < ANSWER_MAX_MS;
    enum error_code ill = (enum error_code)atomic_load(&vitals->ill);
    if (ill != ERR_NONE)
        buffer_appendf(out, "this worker is ill: %s: %s\n", error_name(ill), error_meaning(ill));
    else
        buffer_append_text(out, !loaded    ? "the models are being loaded\n"
                                : answered ? "ready\n"
                                           : "Redis does not answer\n");
    return loaded && answered && ill == ERR_NONE ? MHD_HTTP_OK : MHD_HTTP_SERVICE_UNAVAILABLE;
}

static unsigned exporter_show(struct exporter *exporter, const char *method, const char *path, struct buffer *out) {
    static const struct {
        const char *path;
        unsigned (*show)(struct exporter *exporter, struct buffer *out);
    } pages[] = {
        {"/metrics", exporter_show_metrics}, {"/healthz", exporter_show_health}, {"/readyz", exporter_show_readiness}};
    if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0)
        return MHD_HTTP_METHOD_NOT_ALLOWED;
    for (size_t i = 0; i < ARRAY_LENGTH(pages); i++)
        if (strcmp(path, pages[i].path) == 0)
            return pages[i].show(exporter, out);
    return MHD_HTTP_NOT_FOUND;
}

/* Paths stay as they came: none here has an escape, and a NUL that one hides would cut a path short. */
static size_t exporter_unescape(void *context, struct MHD_Connection *connection, char *text) { return strlen(text); }

/* Called once a request, since the answer does not wait for a body. */
static enum MHD_Result exporter_handle(void *context, struct MHD_Connection *connection, const char *path,
                                       const char *method, const char *version, const char *data, size_t *length,
                                       void **state) {
    _cleanup_buffer_ struct buffer text = {0};
    unsigned status = exporter_show(context, method, path, &text);
    size_t size = text.length;
    struct MHD_Response *response = MHD_create_response_from_buffer(size, buffer_steal(&text), MHD_RESPMEM_MUST_FREE);
    MHD_add_response_header(response, "Content-Type",
                            strcmp(path, "/metrics") == 0 ? EXPOSITION_MEDIA_TYPE : "text/plain; charset=utf-8");
    MHD_add_response_header(response, "Connection", "close");
    if (status == MHD_HTTP_METHOD_NOT_ALLOWED)
        MHD_add_response_header(response, "Allow", "GET, HEAD");
    enum MHD_Result queued = MHD_queue_response(connection, status, response);
    MHD_destroy_response(response);
    return queued;
}

/* ---- start and end ---- */

static bool exporter_listen(struct exporter *exporter, const char *address, struct error *err) {
    _cleanup_address_ struct addrinfo *where = address_resolve(address, err);
    if (!where)
        return false;
    unsigned flags = MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_AUTO | (where->ai_family == AF_INET6 ? MHD_USE_IPv6 : 0);
    exporter->daemon =
        MHD_start_daemon(flags, 0, NULL, NULL, exporter_handle, exporter, MHD_OPTION_SOCK_ADDR, where->ai_addr,
                         MHD_OPTION_CONNECTION_LIMIT, (unsigned)CONNECTIONS_MAX, MHD_OPTION_PER_IP_CONNECTION_LIMIT,
                         (unsigned)CONNECTIONS_PER_PEER, MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_MEMORY,
                         MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)IDLE_TIMEOUT_S, MHD_OPTION_UNESCAPE_CALLBACK,
                         exporter_unescape, NULL, MHD_OPTION_END);
    return exporter->daemon || error_set_errno(err, ERR_CONFIG_INVALID, errno, "cannot listen on %s", address);
}

/* "auto" is the first card, if there is one. */
static void exporter_open_card(struct exporter *exporter, const char *device) {
    bool named = strncmp(device, "cuda:", 5) == 0;
    int index = named ? (int)strtol(device + 5, NULL, 10) : 0;
    struct error err;
    if ((!named && strcmp(device, "auto") != 0) || exporter->card_count == CARDS_MAX)
        return;
    struct nvml *nvml = nvml_open(index, &err);
    if (nvml) {
        exporter->cards[exporter->card_count].index = index;
        exporter->cards[exporter->card_count++].nvml = nvml;
    } else if (named) {
        log_write(&(struct log){.worker = exporter->options.worker}, LOG_WARN, "no metrics of the card: %s",
                  err.message);
    }
}

struct exporter *exporter_start(const struct exporter_options *options, struct error *err) {
    struct exporter *exporter = xnew(struct exporter);
    exporter->options = *options;
    for (size_t i = 0; i < options->device_count; i++)
        exporter_open_card(exporter, options->devices[i]);
    if (!exporter_listen(exporter, options->address, err)) {
        exporter_stop(exporter);
        return NULL;
    }
    log_write(&(struct log){.worker = options->worker}, LOG_INFO, "the metrics are on port %d",
              MHD_get_daemon_info(exporter->daemon, MHD_DAEMON_INFO_BIND_PORT)->port);
    return exporter;
}

void exporter_stop(struct exporter *exporter) {
    if (exporter->daemon)
        MHD_stop_daemon(exporter->daemon);
    for (size_t i = 0; i < exporter->card_count; i++)
        nvml_close(exporter->cards[i].nvml);
    free(exporter);
}
