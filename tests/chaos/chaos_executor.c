/* An executor of small jobs, as `mela-worker run --executor`: speaks the wire of executor/wire.h, writes true targets
 * of a few bytes in a job's time, and misbehaves. It is configured by files beside it, since executors have no
 * environment of the farm's; it reads them anew for each job:
 *
 *   settings    {"seed", "job_ms": a job's time, on the average, "misdeed_every": one job in so many goes wrong, 0:
 * none, "stillborn_every": likewise of its starts, after the first one of its worker, "fails": code of the error that
 * every job ends in, "card": false when it is gone, "misdeed": what every job meets, "starts": false when it takes for
 * ever to} misdeeds    is appended to: a line for each, its name
 *
 * A campaign whose name is "12 abort track" is a bomb: every track of it aborts. An artifact's first line says which
 * attempt of which job wrote it, and ends in what no other run of it has; then come the first lines of the artifacts
 * that it was made of. A job of pictures leaves as many pictures as it should, each with that line in it. */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "../support/plan_of_frames.h"
#include "base/clock.h"
#include "base/digest.h"
#include "base/file.h"
#include "base/process.h"
#include "base/random.h"
#include "executor/wire.h"

enum {
    DOCUMENT_MAX = 16 << 20,
    MEMORY_MAX = 96 << 20,  /* of one that leaks */
    REPORT_BYTES = 3 << 20, /* of one that floods: more than the supervisor reads */
    LATE_MS = 1500,         /* how late the one that is slow to stop stops */
    SPEECH_MS = 50,
    SPEECH_BYTES = SPEECH_MS * 16 * (int)sizeof(int16_t), /* 16 kHz */
};

struct chaos {
    char *folder; /* its files */
    char *worked; /* a file that is there once its worker has sent a job */
    json_t *settings;
    struct wire wire;
    bool card_is_gone; /* for this process for good, as a card is whose driver has reset it */
    json_t *message;   /* the job's */
    struct job_id job;
    struct campaign *campaign;
    struct plan *plan;
};

/* ---- files ---- */

static void chaos_read_settings(struct chaos *chaos) {
    _cleanup_buffer_ struct buffer text = {0};
    _cleanup_free_ char *path = xasprintf("%s/settings", chaos->folder);
    struct error err;
    json_decref(chaos->settings);
    chaos->settings = file_read(path, DOCUMENT_MAX, &text, &err) ? json_parse(text.data, text.length, &err) : NULL;
    if (!chaos->settings)
        exit(EXIT_FAILURE);
    chaos->card_is_gone |= !json_get_bool(chaos->settings, "card", true);
}

static void chaos_note(const struct chaos *chaos, const char *misdeed) {
    _cleanup_free_ char *path = xasprintf("%s/misdeeds", chaos->folder), *line = xasprintf("%s\n", misdeed);
    _cleanup_close_ int file = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
    if (write(file, line, strlen(line)) < 0)
        exit(EXIT_FAILURE);
}

static const char *scratch_of(const struct chaos *chaos) { return json_get_string(chaos->message, "scratch", ""); }

static bool chaos_write(const struct chaos *chaos, const char *name, const void *data, size_t length,
                        struct error *err) {
    _cleanup_free_ char *path = xasprintf("%s/%s", scratch_of(chaos), name);
    return file_write_atomic(path, data, length, 0644, err);
}

/* ---- the wire ---- */

static void chaos_send(struct chaos *chaos, json_t *message) {
    struct error err;
    bool sent = wire_send(&chaos->wire, message, &err);
    json_decref(message);
    if (!sent)
        exit(EXIT_FAILURE);
}

static void chaos_send_failure(struct chaos *chaos, enum error_code code, const char *message) {
    chaos_send(chaos, json_pack("{s:s,s:s,s:s}", "type", "failed", "code", error_name(code), "message", message));
}

/* The next message that comes within `wait_ms` (-1: ever); NULL when none does. Its end is the process'. */
static json_t *chaos_receive(struct chaos *chaos, int64_t wait_ms) {
    const int64_t end = clock_monotonic_ms(clock_system()) + wait_ms;
    json_t *message;
    struct error err;
    for (;;) {
        if (!wire_next(&chaos->wire, &message, &err))
            exit(EXIT_FAILURE);
        int64_t left = wait_ms < 0 ? -1 : MAX(end - clock_monotonic_ms(clock_system()), 0);
        struct pollfd wire = {.fd = chaos->wire.socket, .events = POLLIN};
        if (message || poll(&wire, 1, (int)left) == 0)
            return message;
        if (!wire_read(&chaos->wire))
            exit(EXIT_SUCCESS);
    }
}

/* Waits, `wait_ms` at most (-1: ever), until a message of this type comes. False when told to stop. */
static bool chaos_await(struct chaos *chaos, const char *type, int64_t wait_ms) {
    _cleanup_json_ json_t *message = chaos_receive(chaos, wait_ms);
    return !message || strcmp(json_get_string(message, "type", ""), type) == 0;
}

/* ---- a job as it should be ---- */

static bool chaos_write_plan(struct chaos *chaos, struct error *err) {
    static const char silence[SPEECH_BYTES];
    _cleanup_plan_ struct plan *plan =
        plan_of_frames(chaos->campaign, 2, 2, 25 * strtol(chaos->campaign->name, NULL, 10), SPEECH_MS / 1e3);
    _cleanup_json_ json_t *json = plan_to_json(plan);
    _cleanup_free_ char *text = json_line(json);
    for (size_t i = 0; i < chaos->campaign->dub_count; i++) {
        _cleanup_free_ char *name = xasprintf("speech-%s.pcm", chaos->campaign->dubs[i].language);
        if (!chaos_write(chaos, name, silence, sizeof silence, err))
            return false;
    }
    return chaos_write(chaos, "plan.json", text, strlen(text), err);
}

static bool chaos_append_first_line(const char *path, struct buffer *out, struct error *err) {
    _cleanup_buffer_ struct buffer text = {0};
    if (!file_read(path, DOCUMENT_MAX, &text, err))
        return false;
    const char *end = memchr(text.data, '\n', text.length);
    if (!end)
        return error_set(err, ERR_INTERNAL, "%s is no artifact", path);
    buffer_append(out, text.data, (size_t)(end - text.data) + 1);
    return true;
}

/* What lies beside the artifact of a job of pictures. */
static bool chaos_write_beside(struct chaos *chaos, const struct buffer *text, struct error *err) {
    struct image_part part = {0};
    if (chaos->job.kind == KIND_SHEET)
        return chaos_write(chaos, "sheet.png", text->data, text->length, err);
    if (chaos->job.kind != KIND_IMAGE)
        return true;
    bool written = images_part(&chaos->campaign->images, (size_t)chaos->job.index, &part) &&
                   chaos_write(chaos, "thumbs.png", text->data, text->length, err);
    for (int i = 0; written && i < part.count; i++) {
        _cleanup_free_ char *name = xasprintf("picture-%d.png", i);
        written = chaos_write(chaos, name, text->data, text->length, err);
    }
    return written;
}

/* Whether it is the artifact of a job that this one waited for. */
static bool is_of_a_job(const char *input) {
    return strcmp(input, "track") == 0 || strncmp(input, "part-", 5) == 0 || strncmp(input, "record-", 7) == 0;
}

static bool chaos_write_targets(struct chaos *chaos, struct error *err) {
    static const char *const names[KIND_COUNT] = {[KIND_TRACK] = "track.trk",
                                                  [KIND_DUB] = "segment.mp4",
                                                  [KIND_JOIN] = "final.mp4",
                                                  [KIND_IMAGE] = "record.json",
                                                  [KIND_SHEET] = "index.json"};
    if (chaos->job.kind == KIND_PLAN)
        return chaos_write_plan(chaos, err);
    _cleanup_buffer_ struct buffer text = {0};
    char unique[17];
    random_text(unique, sizeof unique - 1);
    buffer_appendf(&text, "%s %d %s\n", json_get_string(chaos->message, "job", ""),
                   (int)json_get_integer(chaos->message, "attempt", 0), unique);
    const char *name;
    json_t *path;
    json_object_foreach (json_object_get(chaos->message, "inputs"), name, path)
        if (is_of_a_job(name) && !chaos_append_first_line(json_string_value(path), &text, err))
            return false;
    return chaos_write_beside(chaos, &text, err) &&
           chaos_write(chaos, names[chaos->job.kind], text.data, text.length, err);
}

static json_t *chaos_report(void) {
    return json_pack("{s:i,s:{s:i},s:i}", "frames", 25, "steps_ms", "lips", 1, "gpu_ms", 1);
}

static void chaos_send_done(struct chaos *chaos, json_t *report) {
    chaos_send(chaos, json_pack("{s:s,s:o}", "type", "done", "report", report));
}

/* Computes inside the gate for a random time. False when told to stop. */
static bool chaos_compute(struct chaos *chaos) {
    double job_ms = (double)json_get_integer(chaos->settings, "job_ms", 0);
    bool gated = job_kind_pool(chaos->job.kind) != POOL_CPU;
    if (gated)
        chaos_send(chaos, json_pack("{s:s}", "type", "enter"));
    if (gated && !chaos_await(chaos, "enter", -1))
        return false;
    chaos_send(chaos, json_pack("{s:s,s:i,s:i,s:s}", "type", "progress", "frames", 13, "of", 25, "step", "lips"));
    bool went_on = chaos_await(chaos, "", (int64_t)((0.5 + random_unit()) * job_ms));
    if (went_on && gated)
        chaos_send(chaos, json_pack("{s:s}", "type", "leave"));
    return went_on;
}

static void chaos_do_job(struct chaos *chaos) {
    struct error err;
    const char *fails = json_get_string(chaos->settings, "fails", NULL);
    if (!chaos_compute(chaos))
        chaos_send_failure(chaos, ERR_CANCELLED, "told to stop");
    else if (chaos->card_is_gone)
        chaos_send_failure(chaos, ERR_MODEL_RUN, "the card is gone");
    else if (fails)
        chaos_send_failure(chaos, error_from_name(fails), "the settings want it so");
    else if (!chaos_write_targets(chaos, &err))
        chaos_send_failure(chaos, err.code, err.message);
    else
        chaos_send_done(chaos, chaos_report());
}

/* ---- misdeeds ---- */

static void misdeed_hang(struct chaos *chaos) {
    for (;;)
        pause();
}

static void misdeed_deaf(struct chaos *chaos) {
    signal(SIGTERM, SIG_IGN);
    misdeed_hang(chaos);
}

static void misdeed_leak(struct chaos *chaos) {
    enum { PIECE = 1 << 20 };
    setrlimit(RLIMIT_DATA, &(struct rlimit){MEMORY_MAX, MEMORY_MAX});
    for (;;) {
        volatile char *piece = xcalloc(1, PIECE); /* aborts where there is no more */
        for (int i = 0; i < PIECE; i += 4096)
            piece[i] = 1;
    }
}

static void misdeed_abort(struct chaos *chaos) { abort(); }

static void misdeed_leave(struct chaos *chaos) { exit(3); }

/* As the kernel does when there is no memory left. */
static void misdeed_killed(struct chaos *chaos) { kill(getpid(), SIGKILL); }

static void misdeed_babble(struct chaos *chaos) {
    static const char nonsense[] = "\xff\xff\xff\xff nonsense";
    if (write(chaos->wire.socket, nonsense, sizeof nonsense) < 0)
        exit(EXIT_FAILURE);
}

static void misdeed_shout(struct chaos *chaos) {
    chaos_send(chaos, json_pack("{s:s,s:s}", "type", "ready", "device", "cpu"));
}

static void misdeed_twice(struct chaos *chaos) {
    chaos_do_job(chaos);
    chaos_send_done(chaos, chaos_report());
}

/* Slow to stop: it works until it is told to stop, and some time longer. */
static void misdeed_late(struct chaos *chaos) {
    (void)chaos_await(chaos, "", -1);
    clock_sleep_ms(clock_system(), LATE_MS);
    chaos_send_failure(chaos, ERR_CANCELLED, "told to stop");
}

static void misdeed_idle(struct chaos *chaos) { chaos_send_done(chaos, chaos_report()); }

static void misdeed_lie(struct chaos *chaos) {
    struct error err;
    if (chaos_write_targets(chaos, &err))
        chaos_send_done(chaos, json_pack("{s:i,s:f,s:s,s:{s:i,s:i}}", "frames", -5, "bytes", 1e300, "gpu_ms", "many",
                                         "steps_ms", "nonsense", 7, "lips", -3));
    else
        chaos_send_failure(chaos, err.code, err.message);
}

/* Of a plan, this is the plan. */
static void misdeed_garble(struct chaos *chaos) {
    static const char garbage[] = "{\"version\":1,\"frames\":-1}";
    struct error err;
    if (chaos_write_targets(chaos, &err) &&
        (chaos->job.kind != KIND_PLAN || chaos_write(chaos, "plan.json", garbage, strlen(garbage), &err)))
        chaos_send_done(chaos, chaos_report());
    else
        chaos_send_failure(chaos, err.code, err.message);
}

static void misdeed_link(struct chaos *chaos) {
    static const char *const names[] = {"plan.json", "track.trk",   "segment.mp4",
                                        "final.mp4", "record.json", "index.json"};
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
        _cleanup_free_ char *path = xasprintf("%s/%s", scratch_of(chaos), names[i]);
        if (symlink("/etc/passwd", path) != 0)
            exit(EXIT_FAILURE);
    }
    chaos_send_done(chaos, chaos_report());
}

static void misdeed_flood(struct chaos *chaos) {
    _cleanup_free_ char *text = xcalloc(1, REPORT_BYTES + 1);
    memset(text, 'x', REPORT_BYTES);
    json_t *report = chaos_report();
    json_object_set_new(report, "novel", json_string(text));
    chaos_send_done(chaos, report);
}

static void misdeed_refuse(struct chaos *chaos) { chaos_send_failure(chaos, ERR_MEDIA_CORRUPT, "the file is damaged"); }

/* `by_chance` unless the job would not survive it. */
static const struct misdeed {
    const char *name;
    void (*commit)(struct chaos *chaos);
    bool by_chance;
} misdeeds[] = {
    {"hang", misdeed_hang, true},      {"deaf", misdeed_deaf, true},   {"leak", misdeed_leak, true},
    {"abort", misdeed_abort, true},    {"leave", misdeed_leave, true}, {"killed", misdeed_killed, true},
    {"babble", misdeed_babble, true},  {"shout", misdeed_shout, true}, {"twice", misdeed_twice, true},
    {"late", misdeed_late, true},      {"idle", misdeed_idle, true},   {"lie", misdeed_lie, true},
    {"garble", misdeed_garble, true},  {"link", misdeed_link, true},   {"flood", misdeed_flood, true},
    {"refuse", misdeed_refuse, false},
};

/* A number in [0, 1) that is the same whenever the same is asked. */
static double chaos_chance(const struct chaos *chaos, const char *of_what, int number) {
    unsigned char hash[SHA256_BYTES];
    _cleanup_free_ char *text =
        xasprintf("%lld %s %d", (long long)json_get_integer(chaos->settings, "seed", 0), of_what, number);
    sha256_of(text, strlen(text), hash);
    return (hash[0] << 16 | hash[1] << 8 | hash[2]) / 0x1p24;
}

static const struct misdeed *misdeed_by_chance(const struct chaos *chaos) {
    int64_t every = json_get_integer(chaos->settings, "misdeed_every", 0);
    const char *job = json_get_string(chaos->message, "job", "");
    int attempt = (int)json_get_integer(chaos->message, "attempt", 0);
    double chance = chaos_chance(chaos, job, attempt) * (double)every;
    const struct misdeed *misdeed = &misdeeds[(size_t)(chance * ARRAY_LENGTH(misdeeds)) % ARRAY_LENGTH(misdeeds)];
    return every && chance < 1 && misdeed->by_chance ? misdeed : NULL;
}

static const struct misdeed *misdeed_find(const char *name) {
    for (size_t i = 0; i < ARRAY_LENGTH(misdeeds); i++)
        if (strcmp(misdeeds[i].name, name) == 0)
            return &misdeeds[i];
    return NULL;
}

/* What the campaign's name wants of this job. */
static const struct misdeed *misdeed_of_bomb(const struct chaos *chaos) {
    char name[16], kind[16];
    if (sscanf(chaos->campaign->name, "%*d %15s %15s", name, kind) != 2 ||
        strcmp(kind, job_kind_name(chaos->job.kind)) != 0)
        return NULL;
    return misdeed_find(name);
}

/* ---- the process ---- */

/* Takes the message, and what it says of the campaign. */
static void chaos_take_job(struct chaos *chaos, json_t *message) {
    struct error err;
    json_t *spec = json_object_get(message, "spec");
    _cleanup_json_ json_t *problems = json_array();
    json_decref(chaos->message);
    chaos->message = message;
    if (!job_id_check(json_get_string(message, "job", ""), &chaos->job, &err))
        exit(EXIT_FAILURE);
    if (spec) {
        campaign_free_cleanup(&chaos->campaign);
        chaos->campaign = campaign_parse(spec, chaos->job.campaign, problems);
    }
    if (!chaos->campaign)
        exit(EXIT_FAILURE);
    close(open(chaos->worked, O_WRONLY | O_CREAT | O_CLOEXEC, 0644));
}

static void chaos_serve(struct chaos *chaos) {
    for (;;) {
        json_t *message = chaos_receive(chaos, -1);
        if (strcmp(json_get_string(message, "type", ""), "job") != 0) {
            json_decref(message); /* a stop that crossed the job's end */
            continue;
        }
        chaos_take_job(chaos, message);
        chaos_read_settings(chaos);
        const struct misdeed *bomb = misdeed_of_bomb(chaos);
        const struct misdeed *wanted = misdeed_find(json_get_string(chaos->settings, "misdeed", ""));
        const struct misdeed *misdeed = bomb ? bomb : wanted ? wanted : misdeed_by_chance(chaos);
        if (misdeed && !bomb)
            chaos_note(chaos, misdeed->name);
        if (misdeed)
            misdeed->commit(chaos);
        else
            chaos_do_job(chaos);
    }
}

static const char *option_value(char **arguments, const char *name) {
    for (; *arguments; arguments++)
        if (strcmp(*arguments, name) == 0 && arguments[1])
            return arguments[1];
    exit(EXIT_FAILURE);
}

/* Not every start is one, once a job has come: a worker none of whose executors was ever ready ends, as it should. */
static void chaos_start(struct chaos *chaos) {
    int64_t every = json_get_integer(chaos->settings, "stillborn_every", 0);
    if (!json_get_bool(chaos->settings, "starts", true)) {
        chaos_note(chaos, "unready");
        misdeed_hang(chaos);
    }
    if (chaos->card_is_gone) {
        chaos_send_failure(chaos, ERR_MODEL_DEVICE, "the card is gone");
        exit(EXIT_FAILURE);
    }
    if (every && access(chaos->worked, F_OK) == 0 && chaos_chance(chaos, chaos->worked, getpid()) * (double)every < 1) {
        chaos_note(chaos, "stillborn");
        exit(7);
    }
    chaos_send(chaos, json_pack("{s:s,s:s}", "type", "ready", "device", "cpu"));
}

int main(int count, char **arguments) {
    const char *wire = getenv(WIRE_VARIABLE), *slash = strrchr(arguments[0], '/');
    if (!wire || !slash)
        return EXIT_FAILURE;
    process_begin();
    struct chaos chaos = {
        .folder = xstrndup(arguments[0], (size_t)(slash - arguments[0])),
        .wire = {.socket = (int)strtol(wire, NULL, 10), .longest = WIRE_TO_EXECUTOR_MAX},
    };
    chaos_read_settings(&chaos);
    chaos.worked = xasprintf("%s/%s.worked", chaos.folder, option_value(arguments, "--id"));
    chaos_start(&chaos);
    chaos_serve(&chaos);
}
