#include "worker/supervisor.h"

#include <string.h>

#include "base/clock.h"
#include "base/memory.h"
#include "base/random.h"

enum {
    RETRY_MS = 500,      /* pause after a call that Redis did not answer, doubled for each further one... */
    RETRY_MAX_MS = 4000, /* ... up to this, so that a farm does not storm its Redis when that is back */
};

int64_t worker_now(void) { return clock_monotonic_ms(clock_system()); }

/* ---- Redis ---- */

/* The upper half of a pause is random, so that the workers of a farm do not come back all at once. */
bool worker_waits_for_redis(struct worker *worker, const struct error *err) {
    if (err->code != ERR_QUEUE_UNAVAILABLE)
        return false;
    int64_t most = MIN((int64_t)RETRY_MS << MIN(worker->refusals, 10), (int64_t)RETRY_MAX_MS);
    worker->refusals++;
    worker->redis_ms = worker_now() + most / 2 + (int64_t)(random_unit() * (double)(most / 2));
    log_write(&(struct log){.worker = worker->id}, LOG_WARN, "waiting for Redis: %s", err->message);
    return true;
}

void worker_reached_redis(struct worker *worker) {
    worker->refusals = 0;
    atomic_store(&worker->vitals.answered_ms, worker_now());
}

bool worker_may_ask(const struct worker *worker) { return worker_now() >= worker->redis_ms; }

/* ---- the devices ---- */

static void worker_let_in(struct slot *slot) {
    struct error err;
    _cleanup_json_ json_t *message = json_pack("{s:s}", "type", "enter");
    slot->worker->inside[slot->device] = slot;
    slot->asks = 0;
    if (!wire_send(&slot->executor.wire, message, &err))
        executor_process_end(&slot->executor, 0);
}

void worker_enter_device(struct worker *worker, struct slot *slot) {
    slot->asks = ++worker->turn;
    if (!worker->inside[slot->device])
        worker_let_in(slot);
}

void worker_leave_device(struct worker *worker, struct slot *slot) {
    struct slot *next = NULL;
    slot->asks = 0;
    if (worker->inside[slot->device] != slot)
        return;
    worker->inside[slot->device] = NULL;
    for (int i = 0; i < worker->slot_count; i++) {
        struct slot *other = &worker->slots[i];
        if (other->device == slot->device && other->asks && (!next || other->asks < next->asks))
            next = other;
    }
    if (next)
        worker_let_in(next);
}

/* ---- executors ---- */

void worker_note_start(struct worker *worker, bool on_card) {
    bool first = !atomic_load(&worker->vitals.loaded);
    worker->on_card = on_card;
    if (worker->start_failed)
        illness_try(&worker->illness);
    worker->start_failed = false;
    atomic_store(&worker->vitals.loaded, true);
    if (first)
        log_write(&(struct log){.worker = worker->id}, LOG_INFO, "ready on %s", on_card ? "CUDA" : "the CPU");
}

void worker_note_bad_start(struct worker *worker, const struct error *why) {
    worker->start_failed = true;
    worker->failed_to_start |= !atomic_load(&worker->vitals.loaded);
    illness_note(&worker->illness, worker->id, "", why, worker_now());
}

/* Appends "--name value" when there is a value. */
static void command_add_option(char **command, size_t *count, const char *name, const char *value) {
    if (!value)
        return;
    command[(*count)++] = xasprintf("--%s", name);
    command[(*count)++] = xstrdup(value);
}

static char *pool_names(const struct worker_options *options) {
    struct buffer list = {0};
    for (size_t i = 0; i < options->pool_count; i++)
        buffer_appendf(&list, "%s%s", i ? "," : "", pool_name(options->pools[i]));
    return buffer_steal(&list);
}

/* A store that is a folder of this machine is read in place. */
static const char *store_folder(const char *url) {
    return strncmp(url, "file://", 7) == 0 ? url + strlen("file://") : NULL;
}

char **worker_executor_command(const struct worker *worker, const struct slot *slot) {
    enum { WORDS_MAX = 32 };
    const struct models_options *models = &worker->options->models;
    _cleanup_free_ char *pools = pool_names(worker->options), *batch = xasprintf("%d", models->batch),
                        *threads = xasprintf("%d", models->device.threads),
                        *sharers = xasprintf("%d", worker->options->slots),
                        *memory = xasprintf("%lld", (long long)worker->memory_mb);
    char **command = xcalloc(WORDS_MAX, sizeof *command);
    size_t count = 0;
    command[count++] = xstrdup(worker->program);
    command[count++] = xstrdup("executor");
    command_add_option(command, &count, "id", worker->id);
    command_add_option(command, &count, "pools", pools);
    command_add_option(command, &count, "device", worker->options->devices[slot->device]);
    command_add_option(command, &count, "models", models->directory);
    command_add_option(command, &count, "manifests", models->manifests);
    command_add_option(command, &count, "batch", models->batch ? batch : NULL);
    command_add_option(command, &count, "threads", models->device.threads ? threads : NULL);
    command_add_option(command, &count, "detector", models->detector);
    command_add_option(command, &count, "enhancer", models->enhancer);
    command_add_option(command, &count, "scratch", slot->scratch);
    command_add_option(command, &count, "cache", worker->cache_folder);
    command_add_option(command, &count, "store-folder", store_folder(worker->options->store_url));
    command_add_option(command, &count, "memory-mb", memory);
    command_add_option(command, &count, "sharers", sharers);
    return command;
}

void worker_command_free(char ***command) {
    for (char **word = *command; *word; word++)
        free(*word);
    free(*command);
}
