/* mela-bench queue: what the queue does in a second, on a Redis of its own. */
#include <stdlib.h>

#include "base/file.h"
#include "base/memory.h"
#include "bench.h"
#include "queue_rates.h"

/* One figure of every mode and number of workers. */
static void print_rates(const json_t *rates, const char *title, const char *figure) {
    const char *mode, *workers;
    json_t *by_workers, *rate;
    printf("%-32s", title);
    json_object_foreach (json_object_get(rates, "bare_script"), workers, rate)
        printf("%8s", workers);
    json_object_foreach ((json_t *)(uintptr_t)rates, mode, by_workers) {
        printf("\n%-32s", mode);
        json_object_foreach (by_workers, workers, rate)
            printf("%8.0f", json_get_number(rate, figure, 0));
    }
    printf("\n\n");
}

static void print_table(const json_t *result) {
    print_rates(json_object_get(result, "rates"), "a second, by workers", "a_second");
    print_rates(json_object_get(result, "rates"), "us of the server's processor", "cpu_us");
    const json_t *latency = json_object_get(result, "submit_to_start_us"), *size;
    printf("submit to start, idle: p50 %.0f us, p99 %.0f us\n\n", json_get_number(latency, "p50", 0),
           json_get_number(latency, "p99", 0));
    printf("%10s %12s %12s %12s %12s %12s %12s\n", "ready", "bulk add/s", "server us", "claim us", "finish us",
           "server us", "bytes a job");
    size_t i;
    json_array_foreach (json_object_get(result, "sizes"), i, size)
        printf("%10lld %12lld %12.1f %12.0f %12.0f %12.0f %12lld\n", (long long)json_get_integer(size, "ready", 0),
               (long long)json_get_integer(size, "bulk_add", 0), json_get_number(size, "add_cpu_us", 0),
               json_get_number(json_object_get(size, "claim_us"), "p50", 0),
               json_get_number(json_object_get(size, "finish_us"), "p50", 0),
               json_get_number(size, "claim_and_finish_cpu_us", 0),
               (long long)json_get_integer(size, "bytes_per_job", 0));
}

static bool run(struct cli *cli, struct error *err) {
    const char *temporary = getenv("TMPDIR");
    double seconds;
    int64_t most;
    if (!cli_number(cli, "seconds", 1, 0.1, 60, &seconds, err) ||
        !cli_integer(cli, "most", 1000000, 0, 10000000, &most, err))
        return false;
    _cleanup_free_ char *directory = directory_make_temporary(temporary ? temporary : "/tmp", "mela-bench", err);
    if (!directory)
        return false;
    _cleanup_json_ json_t *result = json_object();
    struct local_redis *redis = local_redis_start(directory, err);
    bool ok = redis && queue_bench(redis, seconds, most, result, err);
    if (redis)
        local_redis_stop(redis);
    tree_remove(directory);
    if (ok && cli_json(cli))
        cli_print_json(result);
    else if (ok)
        print_table(result);
    return ok;
}

const struct command command_bench_queue = {
    .name = "queue",
    .summary = "measure the queue on a Redis of its own",
    .help = "Starts a private redis-server that syncs its log every second, measures, and removes it again. Best on a "
            "machine that does nothing else.\n\nExample:\n  mela-bench queue --json > queue.json\n",
    .options =
        (const struct cli_option[]){{"seconds", "S", "length of one measurement, default 1"},
                                    {"most", "JOBS", "largest queue, default 1000000; 10000000 needs 6 GB of memory"},
                                    {0}},
    .run = run,
};
