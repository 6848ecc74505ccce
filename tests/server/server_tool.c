/* What the tests of the API run.
 *
 *   server_tool key FILE NAME ROLE                                      adds a key, prints it
 *   server_tool serve ADDRESS REDIS STORE KEYS [UPLOAD_LIMIT [IDLE_S [EMF_MS]]]   prints the port, runs until SIGTERM;
 * with EMF_MS CloudWatch's lines in this period
 *   server_tool worker REDIS                                            obeys one JSON command a line,
 * answers likewise
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "base/process.h"
#include "server/auth.h"
#include "server/server.h"
#include "store/http.h"

static int fail(const struct error *err) {
    fprintf(stderr, "%s: %s\n", error_name(err->code), err->message);
    return 1;
}

static int add_key(const char *path, const char *name, const char *role) {
    struct error err;
    enum role value = strcmp(role, "admin") == 0      ? ROLE_ADMIN
                      : strcmp(role, "producer") == 0 ? ROLE_PRODUCER
                                                      : ROLE_VIEWER;
    _cleanup_free_ char *key = keys_create(path, name, value, &err);
    return key ? puts(key) == EOF : fail(&err);
}

static int serve(int count, char **arguments) {
    struct error err;
    struct server_options options = {
        .address = arguments[0],
        .queue = {.url = arguments[1], .timeout_ms = 2000},
        .store_url = arguments[2],
        .keys_file = arguments[3],
        .upload_limit = count > 4 ? atoll(arguments[4]) : 0,
        .idle_timeout_s = count > 5 ? atoi(arguments[5]) : 0,
        .emf = count > 6 ? "Mela" : NULL,
        .emf_period_ms = count > 6 ? atoi(arguments[6]) : 0,
    };
    sigset_t stop;
    sigemptyset(&stop);
    sigaddset(&stop, SIGTERM);
    sigprocmask(SIG_BLOCK, &stop, NULL);
    _cleanup_server_ struct server *server = server_start(&options, &err);
    if (!server)
        return fail(&err);
    printf("%d\n", server_port(server));
    fflush(stdout);
    return sigwaitinfo(&stop, NULL) != SIGTERM;
}

static bool claim(struct queue *queue, const char *worker, json_t *answer, struct error *err) {
    static const enum pool pools[] = {POOL_CPU, POOL_LIPSYNC, POOL_IMAGE};
    struct claim_options options = {
        .worker = worker, .pools = pools, .pool_count = ARRAY_LENGTH(pools), .lease_ms = 60000};
    struct claim got;
    size_t count;
    if (!queue_claim(queue, &options, &got, 1, &count, err))
        return false;
    if (count)
        json_object_update_new(answer, json_pack("{s:s, s:s}", "job", got.job_id, "attempt", got.stamp));
    return true;
}

static bool finish(struct queue *queue, const char *worker, const struct claim *held, const json_t *command,
                   struct error *err) {
    const json_t *list = json_object_get(command, "children"), *child;
    _cleanup_free_ struct job_spec *children = xnew_array(struct job_spec, json_array_size(list) + 1);
    size_t i;
    json_array_foreach (list, i, child) {
        snprintf(children[i].id, sizeof children[i].id, "%s", json_get_string(child, "id", ""));
        snprintf(children[i].next, sizeof children[i].next, "%s", json_get_string(child, "next", ""));
        children[i].waits_for = (int)json_get_integer(child, "waits_for", 0);
    }
    struct job_result result = {json_get_string(command, "artifact", ""), json_object_get(command, "report"), children,
                                json_array_size(list)};
    return queue_finish(queue, worker, held, &result, err);
}

static bool obey(struct queue *queue, const json_t *command, json_t *answer, struct error *err) {
    const char *operation = json_get_string(command, "do", ""), *worker = json_get_string(command, "worker", "w1");
    struct claim held = {0};
    snprintf(held.stamp, sizeof held.stamp, "%s", json_get_string(command, "attempt", ""));
    snprintf(held.job_id, sizeof held.job_id, "%s", json_get_string(command, "job", ""));
    if (*held.job_id && !job_id_parse(held.job_id, &held.job))
        return error_set(err, ERR_USAGE, "%s is no job id", held.job_id);
    if (strcmp(operation, "claim") == 0)
        return claim(queue, worker, answer, err);
    if (strcmp(operation, "finish") == 0)
        return finish(queue, worker, &held, command, err);
    if (strcmp(operation, "progress") == 0)
        return queue_heartbeat(queue, worker, &held, 60000, json_object_get(command, "progress"), err);
    if (strcmp(operation, "beat") == 0)
        return queue_worker_beat(queue, worker, json_object_get(command, "info"), 60000, err);
    if (strcmp(operation, "fail") == 0) {
        struct error failure;
        error_set(&failure, error_from_name(json_get_string(command, "code", "internal")), "made to fail by a test");
        return queue_fail(queue, worker, &held, &failure, err);
    }
    return error_set(err, ERR_USAGE, "unknown command \"%s\"", operation);
}

static int work(const char *redis) {
    struct error err;
    struct queue_options options = {.url = redis};
    _cleanup_queue_ struct queue *queue = queue_open(&options, &err);
    _cleanup_free_ char *line = NULL;
    size_t capacity = 0;
    if (!queue)
        return fail(&err);
    while (getline(&line, &capacity, stdin) > 0) {
        _cleanup_json_ json_t *answer = json_object(), *command = json_parse(line, strlen(line), &err);
        if (!command || !obey(queue, command, answer, &err))
            json_object_set_new(answer, "error", json_string(error_name(err.code)));
        _cleanup_free_ char *text = json_line(answer);
        puts(text);
        fflush(stdout);
    }
    return 0;
}

int main(int count, char **arguments) {
    process_begin();
    http_process_begin();
    const char *command = count > 1 ? arguments[1] : "";
    if (strcmp(command, "key") == 0 && count == 5)
        return add_key(arguments[2], arguments[3], arguments[4]);
    if (strcmp(command, "serve") == 0 && count >= 6 && count <= 9)
        return serve(count - 2, arguments + 2);
    if (strcmp(command, "worker") == 0 && count == 3)
        return work(arguments[2]);
    fprintf(stderr, "see the head of server_tool.c\n");
    return 2;
}
