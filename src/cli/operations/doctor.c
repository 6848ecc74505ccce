#include <glob.h>
#include <signal.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sys/wait.h>

#include "base/child.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/random.h"
#include "cli/client.h"
#include "cli/commands.h"
#include "cli/terminal.h"
#include "queue/queue.h"
#include "store/store.h"

enum { CHILD_MS = 20000, OUTPUT_MAX = 1 << 20, DISK_WARN = 5 };

enum verdict { VERDICT_OK, VERDICT_WARN, VERDICT_FAIL };
static const char *const verdicts[] = {"ok", "warn", "fail"};

struct doctor {
    struct cli *cli;
    const struct config *config;
    char *data, *scratch; /* a private folder, removed at the end */
    json_t *findings;
    bool failed;
};

/* Notes a finding, and prints it at once. `advice`: what to do about it; "": nothing. */
static void doctor_find(struct doctor *doctor, const char *what, enum verdict verdict, const char *advice,
                        const char *format, ...) printf_like(5, 6);

static void doctor_find(struct doctor *doctor, const char *what, enum verdict verdict, const char *advice,
                        const char *format, ...) {
    char text[1200];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    doctor->failed |= verdict == VERDICT_FAIL;
    json_array_append_new(doctor->findings, json_pack("{s:s,s:s,s:s,s:s}", "check", what, "result", verdicts[verdict],
                                                      "message", text, "advice", advice));
    if (cli_json(doctor->cli))
        return;
    printf("%-5s %-14s %s\n", verdicts[verdict], what, text);
    if (advice[0])
        printf("%20s %s\n", "->", advice);
    fflush(stdout);
}

/* Runs a program and returns what it printed; caller frees. NULL when it cannot be started, does not end in time, or
 * fails: then *err has its first line. */
static char *doctor_output_of(struct doctor *doctor, const char *const *argv, struct error *err) {
    _cleanup_free_ char *path = xasprintf("%s/output", doctor->scratch);
    _cleanup_buffer_ struct buffer text = {0};
    int status = 0;
    unlink(path);
    pid_t pid = child_start(argv, &(struct child_options){.log_path = path}, err);
    if (pid < 0)
        return NULL;
    bool ended = child_wait(pid, CHILD_MS, &status);
    if (!ended)
        child_stop(pid, 0);
    if (!file_read(path, OUTPUT_MAX, &text, err))
        return NULL;
    if (ended && status == 0)
        return buffer_steal(&text);
    error_set(err, ERR_CHILD_FAILED, "%s %s: %.300s", argv[0], ended ? "failed" : "does not end", text.data);
    err->message[strcspn(err->message, "\n")] = '\0';
    return NULL;
}

static void doctor_check_redis(struct doctor *doctor) {
    struct error err;
    _cleanup_free_ char *version =
        doctor_output_of(doctor, (const char *const[]){"redis-server", "--version", NULL}, &err);
    int major = 0, minor = 0;
    const char *number = version ? strstr(version, "v=") : NULL;
    if (!version)
        doctor_find(doctor, "redis-server", VERDICT_FAIL, "install it (apt install redis-server); mela up needs it",
                    "%s", err.message);
    else if (!number || sscanf(number, "v=%d.%d", &major, &minor) != 2 || major * 100 + minor < 602)
        doctor_find(doctor, "redis-server", VERDICT_FAIL, "install Redis 6.2 or newer", "%.*s",
                    (int)strcspn(version, "\n"), version);
    else
        doctor_find(doctor, "redis-server", VERDICT_OK, "", "version %.*s", (int)strcspn(number + 2, " "), number + 2);
}

static void doctor_check_worker(struct doctor *doctor) {
    struct error err;
    _cleanup_free_ char *program = cli_sibling_program("mela-worker", "MELA_WORKER");
    _cleanup_free_ char *text =
        doctor_output_of(doctor, (const char *const[]){program, "version", "--json", NULL}, &err);
    _cleanup_json_ json_t *version = text ? json_parse(text, strlen(text), &err) : NULL;
    if (version)
        doctor_find(doctor, "mela-worker", VERDICT_OK, "", "version %s, FFmpeg %s, ONNX Runtime %s",
                    json_get_string(version, "version", "?"), json_get_string(version, "ffmpeg", "?"),
                    json_get_string(version, "onnxruntime", "?"));
    else
        doctor_find(doctor, "mela-worker", VERDICT_FAIL,
                    "build or install it next to mela, or set MELA_WORKER to its path", "%s", err.message);
}

/* How much of the fence around executors this machine can hold. Whether mela-worker runs at all was said before. */
static void doctor_check_fence(struct doctor *doctor) {
    struct error err;
    size_t i;
    json_t *part;
    _cleanup_buffer_ struct buffer missing = {0};
    _cleanup_free_ char *program = cli_sibling_program("mela-worker", "MELA_WORKER");
    const char *const argv[] = {program, "check", "fence", "--json", NULL};
    _cleanup_free_ char *text = doctor_output_of(doctor, argv, &err);
    _cleanup_json_ json_t *fence = text ? json_parse(text, strlen(text), &err) : NULL;
    json_array_foreach (json_object_get(fence, "missing"), i, part)
        buffer_appendf(&missing, "%s%s", i ? ", " : "", json_string_value(part));
    if (!fence)
        doctor_find(doctor, "fence", VERDICT_WARN, "", "not known: %s", err.message);
    else if (missing.length)
        doctor_find(doctor, "fence", VERDICT_WARN,
                    "Linux 6.12 or newer with Landlock switched on (lsm=landlock,...) holds all of it",
                    "this machine can hold only a part of it; missing: %s", missing.data);
    else
        doctor_find(doctor, "fence", VERDICT_OK, "", "this machine can hold all of it (seccomp, Landlock %d)",
                    (int)json_get_integer(fence, "landlock", 0));
}

/* Is there a model for each role that every dub needs? */
static void doctor_check_models(struct doctor *doctor) {
    static const char *const needed[] = {"detect", "mesh", "lips"};
    struct error err;
    _cleanup_free_ char *program = cli_sibling_program("mela-worker", "MELA_WORKER");
    _cleanup_free_ char *directory = cli_models_directory(doctor->cli, &err);
    const char *const argv[] = {program, "models", "list", "--json", "--models", directory, NULL};
    _cleanup_free_ char *text = directory ? doctor_output_of(doctor, argv, &err) : NULL;
    _cleanup_json_ json_t *models = text ? json_parse(text, strlen(text), &err) : NULL;
    if (!models) {
        doctor_find(doctor, "models", VERDICT_FAIL, "see mela models list", "%s", err.message);
        return;
    }
    _cleanup_buffer_ struct buffer missing = {0};
    for (size_t n = 0; n < ARRAY_LENGTH(needed); n++) {
        bool present = false;
        size_t i;
        json_t *model;
        json_array_foreach (models, i, model)
            present |=
                json_get_bool(model, "present", false) && strcmp(json_get_string(model, "role", ""), needed[n]) == 0;
        if (!present)
            buffer_appendf(&missing, " %s", needed[n]);
    }
    if (missing.length)
        doctor_find(doctor, "models", VERDICT_FAIL, "script/setup makes the free ones; mela models add takes your own",
                    "no model in %s for:%s", directory, missing.data);
    else
        doctor_find(doctor, "models", VERDICT_OK, "", "models to detect, mesh and lips are in %s", directory);
}

static void doctor_check_data(struct doctor *doctor) {
    struct statvfs disk;
    if (statvfs(doctor->data, &disk) != 0)
        return;
    double free_gb = (double)disk.f_bavail * (double)disk.f_frsize / 1e9;
    doctor_find(doctor, "data", free_gb < DISK_WARN ? VERDICT_WARN : VERDICT_OK,
                free_gb < DISK_WARN ? "free some space: videos are copied here while they are dubbed" : "",
                "%s can be written, %.1f GB are free", doctor->data, free_gb);
}

/* Writes, reads, and tries to create an object that exists, which must be refused: mela relies on it where two workers
 * could create the same object. */
static bool doctor_try_store(struct store *store, struct error *err) {
    char name[13], key[64];
    _cleanup_buffer_ struct buffer text = {0};
    struct error again = {0};
    random_text(name, sizeof name - 1);
    snprintf(key, sizeof key, "doctor/%s", name);
    bool done = store_put(store, key, "mela", 4, 0, err) && store_get(store, key, 16, &text, err);
    if (done && (text.length != 4 || memcmp(text.data, "mela", 4) != 0))
        done = error_set(err, ERR_STORE_UNAVAILABLE, "what was written does not come back");
    if (done && (store_put(store, key, "twice", 5, STORE_IF_ABSENT, &again) || again.code != ERR_STORE_EXISTS))
        done = error_set(err, ERR_STORE_UNAVAILABLE,
                         "it overwrites an object in spite of If-None-Match: * (conditional create)");
    struct error ignored;
    return store_delete(store, key, done ? err : &ignored) && done;
}

static void doctor_check_store(struct doctor *doctor) {
    struct error err;
    const char *named = config_get(doctor->config, "store");
    _cleanup_free_ char *url = named ? xstrdup(named) : xasprintf("file://%s/store", doctor->data);
    struct store_options options = {.endpoint = config_get(doctor->config, "s3_endpoint")};
    _cleanup_store_ struct store *store = store_open(url, &options, &err);
    if (store && doctor_try_store(store, &err))
        doctor_find(doctor, "store", VERDICT_OK, "", "%s writes, reads and creates conditionally", url);
    else
        doctor_find(doctor, "store", VERDICT_FAIL,
                    "check --store, --s3-endpoint, the credentials and the bucket's policy", "%s: %s", url,
                    err.message);
}

static void doctor_check_farm(struct doctor *doctor) {
    struct error err;
    _cleanup_client_ struct client *client = client_open(doctor->cli, &err);
    _cleanup_json_ json_t *pools = client ? client_get(client, "/v1/pools", &err) : NULL;
    if (pools)
        doctor_find(doctor, "farm", VERDICT_OK, "", "the API at %s answers and knows the key", client_address(client));
    else if (err.code == ERR_API_UNREACHABLE)
        doctor_find(doctor, "farm", VERDICT_WARN, "mela up starts one on this machine", "%s", err.message);
    else
        doctor_find(doctor, "farm", VERDICT_FAIL, "check --address and --key-file", "%s", err.message);
}

static void doctor_check_gpu(struct doctor *doctor) {
    glob_t cards;
    if (glob("/dev/nvidia[0-9]*", 0, NULL, &cards) != 0) {
        doctor_find(doctor, "gpu", VERDICT_WARN, "", "no NVIDIA card is here; the CPU works too, many times slower");
        return;
    }
    doctor_find(doctor, "gpu", VERDICT_OK, "", "%zu NVIDIA card%s", cards.gl_pathc, cards.gl_pathc > 1 ? "s" : "");
    globfree(&cards);
}

static void doctor_free(struct doctor *doctor) {
    if (doctor->scratch)
        tree_remove(doctor->scratch);
    free(doctor->scratch);
    free(doctor->data);
    json_decref(doctor->findings);
}

static bool doctor_run(struct cli *cli, struct error *err) {
    _cleanup_(doctor_free) struct doctor doctor = {.cli = cli, .config = cli_config(cli, err)};
    if (!doctor.config || !(doctor.data = cli_data_directory(cli, err)) ||
        !(doctor.scratch = directory_make_temporary(doctor.data, "doctor", err)))
        return false;
    doctor.findings = json_array();
    doctor_check_data(&doctor);
    doctor_check_redis(&doctor);
    doctor_check_worker(&doctor);
    doctor_check_fence(&doctor);
    doctor_check_models(&doctor);
    doctor_check_store(&doctor);
    doctor_check_gpu(&doctor);
    doctor_check_farm(&doctor);
    if (cli_json(cli))
        cli_print_json(doctor.findings);
    cli_set_status(cli, doctor.failed ? STATUS_FAILED : STATUS_OK);
    return true;
}

const struct command command_doctor = {
    .name = "doctor",
    .summary = "check what a farm needs on this machine, and say what to do",
    .help =
        "Checks the disk, redis-server, mela-worker, what it can hold hostile media in with, the models, the store, "
        "the cards, and the farm's API. Each line is ok, warn or fail, with what to do. Exit status 1 when something "
        "fails.\n\nExample:\n  mela doctor "
        "--store s3://studio/mela\n",
    .options = (const struct cli_option[]){{"store", "URL", "the store to try; default: the data directory's"},
                                           {"s3-endpoint", "URL", "S3 server other than AWS"},
                                           {"models", "DIR", "folder with model weights"},
                                           {0}},
    .run = doctor_run,
};
