/* recover: brings campaigns back from the store when Redis lost them, wholly or in part.
 *
 * A campaign's spec, its plan if it has one, and one receipt for every published job are in the store (farm/layout.h).
 * Restoring replays them in the order of the graph: the campaign is submitted again, and every job that has a receipt
 * is leased to the restorer and finished with what the receipt says, by the same fenced script that workers use. So
 * each step is atomic, leaves the queue in a state that it could have reached by itself, and does nothing when done
 * again: restoring is safe on a working farm, twice, and from several places at once. The queue and the store are
 * borrowed, and each used by this thread only during a call. Errors: those of the queue and the store, and what is said
 * below. */
#pragma once

#include "queue/queue.h"
#include "store/store.h"

/* The ids of all campaigns whose spec is in the store, as a JSON array in ascending order. New reference, or NULL. */
json_t *recover_list(struct store *store, struct error *err) must_check;

/* Restores one campaign. `named`: the user asked for this very one, so it is restored even if it is older than Redis
 * keeps finished ones (such a one has expired rather than been lost). `dry_run` changes nothing. New reference, or
 * NULL:
 * {"id"; "state": running, finished, old, or as Redis has it failed, partial, cancelled; "known": whether Redis knew
 * it; "kept": jobs that are done by what Redis or the store says; "restored": those of them that Redis did not know as
 * done; "queued": jobs left to do, as far as they are known}. store.not_found without a spec, spec.invalid when this
 * version cannot read it, internal for the plan of another version. */
json_t *recover_campaign(struct queue *queue, struct store *store, const char *id, bool named, bool dry_run,
                         struct error *err) must_check;

/* *needed: Redis is as empty as a new one while the store holds campaigns. */
bool recover_is_needed(struct queue *queue, struct store *store, bool *needed, struct error *err) must_check;
