#include "executor/serve.h"

#include <poll.h>
#include <string.h>

#include "base/memory.h"
#include "base/thread.h"
#include "executor/executor.h"
#include "executor/wire.h"
#include "picture/painters.h"

enum { PROGRESS_MS = 250 };

/* One job at a time, in a thread of its own: the first thread reads the wire meanwhile. */
struct session {
    const struct serve_options *options;
    struct models *models;
    struct painters *painters; /* NULL: no pool of pictures */
    /* Guards the wire's sending side and `entered`. Nothing that waits but a send is called under it: the supervisor
     * reads whatever else it does. */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct wire wire;
    bool entered; /* the supervisor let the job in */
    struct gate gate;
    /* What follows is written by the first thread while no job runs, and read by both. */
    struct campaign *campaign;
    struct plan *plan; /* NULL: not sent */
    json_t *message;   /* the job's */
    pthread_t thread;
    bool started; /* `thread` has to be joined */
    struct progress progress;
    atomic_bool cancel; /* lone flags: any order would do */
    atomic_bool running;
};

/* ---- to the supervisor; any thread ---- */

/* Steals the message. When the supervisor is gone so is all reason to live: the process ends at once, since the job may
 * be in the middle of a long run. */
static void session_send(struct session *session, json_t *message) {
    struct error err;
    pthread_mutex_lock(&session->lock);
    bool sent = wire_send(&session->wire, message, &err);
    pthread_mutex_unlock(&session->lock);
    json_decref(message);
    if (!sent)
        _exit(EXIT_FAILURE);
}

static void session_send_failure(struct session *session, const struct error *failure, json_t *holds) {
    session_send(session, json_pack("{s:s,s:s,s:s,s:o*}", "type", "failed", "code", error_name(failure->code),
                                    "message", failure->message, "holds", holds));
}

static void session_send_progress(struct session *session) {
    session_send(session, json_pack("{s:s,s:I,s:I,s:s}", "type", "progress", "frames",
                                    (json_int_t)atomic_load(&session->progress.frames), "of",
                                    (json_int_t)atomic_load(&session->progress.of), "step",
                                    step_name((enum step)atomic_load(&session->progress.step))));
}

/* ---- the gate, which the supervisor keeps ---- */

static bool session_enter(void *context, const atomic_bool *cancel) {
    struct session *session = context;
    session_send(session, json_pack("{s:s}", "type", "enter"));
    pthread_mutex_lock(&session->lock);
    while (!session->entered && !atomic_load(cancel))
        pthread_cond_wait(&session->changed, &session->lock);
    bool entered = session->entered;
    pthread_mutex_unlock(&session->lock);
    return entered;
}

static void session_leave(void *context) { session_send(context, json_pack("{s:s}", "type", "leave")); }

static void session_change(struct session *session, bool enter, bool stop) {
    pthread_mutex_lock(&session->lock);
    session->entered |= enter;
    if (stop)
        atomic_store(&session->cancel, true);
    pthread_cond_broadcast(&session->changed);
    pthread_mutex_unlock(&session->lock);
}

/* ---- the job ---- */

/* New array of `*count`, whose strings are the message's. */
static struct job_file *session_inputs(const struct session *session, size_t *count) {
    json_t *inputs = json_object_get(session->message, "inputs"), *path;
    struct job_file *files = xcalloc(json_object_size(inputs) + 1, sizeof *files);
    const char *name;
    *count = 0;
    json_object_foreach (inputs, name, path)
        files[(*count)++] = (struct job_file){name, json_string_value(path)};
    return files;
}

static bool session_compute(struct session *session, const struct job_id *job, struct work_result *result,
                            struct error *err) {
    const char *id = json_get_string(session->message, "job", "");
    struct log log = {.worker = session->options->worker,
                      .campaign = job->campaign,
                      .job_id = id,
                      .language = job->language[0] ? job->language : NULL,
                      .stage = job_kind_name(job->kind),
                      .attempt = (int)json_get_integer(session->message, "attempt", 0)};
    size_t count;
    _cleanup_free_ struct job_file *inputs = session_inputs(session, &count);
    struct job_context context = {.campaign = session->campaign,
                                  .plan = session->plan,
                                  .job = *job,
                                  .inputs = inputs,
                                  .input_count = count,
                                  .models = session->models,
                                  .painters = session->painters,
                                  .scratch = json_get_string(session->message, "scratch", ""),
                                  .progress = &session->progress,
                                  .gate = &session->gate,
                                  .cancel = &session->cancel,
                                  .log = &log};
    return executor_run_job(&context, result, err);
}

/* What is loaded and takes long to load; its job's thread asks, which alone loads. */
static json_t *session_holds(const struct session *session) {
    json_t *holds = models_held(session->models),
           *pictures = session->painters ? painters_held(session->painters) : NULL;
    json_array_extend(holds, pictures);
    json_decref(pictures);
    return holds;
}

static void *session_thread(void *context) {
    struct session *session = context;
    _cleanup_work_result_ struct work_result result = {0};
    struct job_id job;
    struct error err;
    bool done = job_id_check(json_get_string(session->message, "job", ""), &job, &err) &&
                session_compute(session, &job, &result, &err);
    json_t *holds = session_holds(session);
    /* Before the answer: the supervisor may send the next job at once. */
    atomic_store(&session->running, false);
    if (done)
        session_send(session, json_pack("{s:s,s:O,s:o*}", "type", "done", "report", result.report, "holds", holds));
    else
        session_send_failure(session, &err, holds);
    return NULL;
}

static void session_put_away_job(struct session *session) {
    if (session->started)
        pthread_join(session->thread, NULL);
    session->started = false;
    json_decref(session->message);
    session->message = NULL;
}

/* ---- from the supervisor ---- */

static bool session_learn(struct session *session, const json_t *message, struct error *err) {
    json_t *spec = json_object_get(message, "spec"), *plan = json_object_get(message, "plan");
    struct job_id job;
    if (!job_id_check(json_get_string(message, "job", ""), &job, err))
        return false;
    if (spec) {
        _cleanup_json_ json_t *problems = json_array();
        campaign_free_cleanup(&session->campaign);
        plan_free_cleanup(&session->plan);
        session->plan = NULL;
        session->campaign = campaign_parse(spec, job.campaign, problems);
    }
    if (plan) {
        plan_free_cleanup(&session->plan);
        session->plan = plan_from_json(plan, err);
        if (!session->plan)
            return false;
    }
    return session->campaign || error_set(err, ERR_INTERNAL, "a job came without its campaign");
}

/* Steals the message. */
static bool session_start_job(struct session *session, json_t *message, struct error *err) {
    _cleanup_json_ json_t *owned = message;
    if (atomic_load(&session->running))
        return error_set(err, ERR_INTERNAL, "a job came while another one runs");
    session_put_away_job(session);
    if (!session_learn(session, message, err))
        return false;
    session->message = steal(owned);
    session->entered = false; /* no job thread runs */
    atomic_store(&session->cancel, false);
    atomic_store(&session->progress.frames, 0);
    atomic_store(&session->progress.of, 0);
    atomic_store(&session->progress.step, STEP_DECODE);
    atomic_store(&session->running, true);
    session->started = thread_start(&session->thread, "job", session_thread, session, err);
    return session->started;
}

/* Steals the message. */
static bool session_obey(struct session *session, json_t *message, struct error *err) {
    const char *type = json_get_string(message, "type", "");
    if (strcmp(type, "job") == 0)
        return session_start_job(session, message, err);
    bool enter = strcmp(type, "enter") == 0, stop = strcmp(type, "stop") == 0;
    session_change(session, enter, stop);
    bool known = enter || stop || error_set(err, ERR_INTERNAL, "the message \"%s\" is unknown", type);
    json_decref(message);
    return known;
}

/* True while there is a supervisor. False, with err->code ERR_NONE, when it closed the wire. */
static bool session_listen(struct session *session, struct error *err) {
    struct pollfd wire = {.fd = session->wire.socket, .events = POLLIN};
    bool running = atomic_load(&session->running);
    err->code = ERR_NONE;
    if (poll(&wire, 1, running ? PROGRESS_MS : -1) == 0) {
        if (running)
            session_send_progress(session);
        return true;
    }
    if (wire.revents && !wire_read(&session->wire))
        return false;
    for (json_t *message;;) {
        if (!wire_next(&session->wire, &message, err))
            return false;
        if (!message)
            return true;
        if (!session_obey(session, message, err))
            return false;
    }
}

/* A sanitizer's build goes without: it maps and traces what the fence forbids, and its reports are files elsewhere. */
static bool session_raise_fence(const struct fence *fence, struct error *err) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    return true;
#else
    struct fence_report held;
    return fence_raise(fence, &held, err);
#endif
}

static void session_end(struct session *session) {
    session_put_away_job(session);
    models_free_cleanup(&session->models);
    painters_close_cleanup(&session->painters);
    campaign_free_cleanup(&session->campaign);
    plan_free_cleanup(&session->plan);
    wire_close(&session->wire);
    pthread_mutex_destroy(&session->lock);
    pthread_cond_destroy(&session->changed);
}

/* Networks of dubs are loaded now, those of pictures when a job asks for them. */
static bool session_load_networks(struct session *session, struct error *err) {
    const struct models_options *models = &session->options->models;
    bool on_card = models->device.kind == DEVICE_CUDA; /* the fence's limit is of the machine's memory */
    const struct painters_options painters = {.manifests = models->manifests,
                                              .directory = models->directory,
                                              .cache_directory = models->cache_directory,
                                              .enhancer = models->enhancer,
                                              .device = models->device,
                                              .memory_mb =
                                                  on_card ? 0 : (session->options->fence.memory_bytes >> 20) / 4 * 3,
                                              .sharers = session->options->sharers};
    bool draws = false;
    for (size_t i = 0; i < session->options->pool_count; i++)
        draws |= session->options->pools[i] == POOL_IMAGE;
    session->models = models_load(models, session->options->pools, session->options->pool_count, err);
    if (session->models && draws)
        session->painters = painters_open(&painters, err);
    return session->models && (session->painters || !draws);
}

bool executor_serve(const struct serve_options *options, struct error *err) {
    const char *wire = getenv(WIRE_VARIABLE);
    if (!wire)
        return error_set(err, ERR_USAGE, "this is started by mela-worker run");
    _cleanup_(session_end) struct session session = {
        .options = options, .wire = {.socket = (int)strtol(wire, NULL, 10), .longest = WIRE_TO_EXECUTOR_MAX}};
    pthread_mutex_init(&session.lock, NULL);
    pthread_cond_init(&session.changed, NULL);
    session.gate = (struct gate){session_enter, session_leave, &session};
    if (!session_raise_fence(&options->fence, err) || !session_load_networks(&session, err)) {
        session_send_failure(&session, err, NULL);
        return false;
    }
    bool card = models_are_on_card(session.models);
    session_send(&session, json_pack("{s:s,s:s}", "type", "ready", "device", card ? "cuda" : "cpu"));
    while (session_listen(&session, err))
        ;
    if (atomic_load(&session.running))
        _exit(EXIT_FAILURE);
    return err->code == ERR_NONE;
}
