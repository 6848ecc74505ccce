/* What a worker says of itself, without the worker: states that a real one is seldom in, and a card that is not here.
 *
 *   exporter_tool DEVICE STORE_URL STATE     logs the port, runs until SIGTERM; STATE: loading, ready, deaf, hung
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/process.h"
#include "store/http.h"
#include "worker/exporter.h"

int main(int count, char **arguments) {
    process_begin();
    http_process_begin();
    enum { AGES_MS = 10000000 };
    if (count != 4) {
        fprintf(stderr, "see the head of exporter_tool.c\n");
        return 2;
    }
    const char *state = arguments[3];
    int64_t now = clock_monotonic_ns(clock_system()) / 1000000;
    struct error err;
    const char *const devices[] = {arguments[1]};
    struct vitals vitals = {.loaded = strcmp(state, "loading") != 0,
                            .turned_ms = strcmp(state, "hung") == 0 ? now - AGES_MS : now,
                            .answered_ms = strcmp(state, "deaf") == 0 ? now - AGES_MS : now};
    sigset_t stop;
    sigemptyset(&stop);
    sigaddset(&stop, SIGTERM);
    sigprocmask(SIG_BLOCK, &stop, NULL);
    struct store *store = store_open(arguments[2], NULL, &err);
    struct exporter_options options = {.address = "127.0.0.1:0",
                                       .worker = "tool",
                                       .vitals = &vitals,
                                       .devices = devices,
                                       .device_count = 1,
                                       .store = store};
    struct exporter *exporter = store ? exporter_start(&options, &err) : NULL;
    if (!exporter) {
        fprintf(stderr, "%s\n", err.message);
        return 1;
    }
    sigwaitinfo(&stop, NULL);
    exporter_stop(exporter);
    store_close(store);
    return 0;
}
