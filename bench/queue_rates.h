/* What the queue does in a second, beside what its Redis can do at best: a bare script that makes the writes of one
 * finish and one claim and checks nothing. */
#pragma once

#include "base/json.h"
#include "redis/local.h"

/* Measures on a Redis that holds nothing of value: it is emptied again and again. `seconds`: length of one measurement;
 * `most`: the largest queue, in jobs. Sets in `out`, an object:
 *   "submit_to_start_us": {"p50","p99"} of an idle worker
 *   "rates": {mode: {workers: {"a_second","cpu_us"}}}
 *   "sizes": [{"ready","bulk_add","add_cpu_us","claim_us":{"p50","p99"},"finish_us":{"p50","p99"},
 *              "claim_and_finish_cpu_us","bytes_per_job"}...], bulk_add a second.
 * Each cpu_us is the server's processor time for one operation. False with the queue's error. */
bool queue_bench(struct local_redis *redis, double seconds, int64_t most, json_t *out, struct error *err) must_check;
