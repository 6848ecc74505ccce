/* Brings campaigns back from the store when Redis lost them, wholly or in part.
 *
 * A campaign's spec, its plan and one receipt for every published job are in the store (farm/layout.h). Restoring
 * replays them in the order of the graph: the campaign is submitted again, and every job that has a receipt is leased
 * to the restorer and finished with what the receipt says, by the same fenced script that workers use. So each step is
 * atomic, leaves the queue in a state that it could have reached by itself, and does nothing when done again: restoring
 * is safe on a working farm, twice, and from several places at once. */
#pragma once

#include "queue/queue.h"
#include "store/store.h"

/* The ids of all campaigns whose spec is in the store, as a JSON array in ascending order. */
json_t *recover_list(struct store *store, struct error *err) must_check;

/* `named`: the user asked for this very campaign, so also if it is older than Redis keeps finished ones (such a one has
 * expired rather than been lost). `dry_run` changes nothing.
 * {"id", "state": running, finished, old, or as Redis has it failed, partial, cancelled; "known": whether Redis knew
 * it; "kept": jobs done by what Redis or the store says; "restored": those of them that Redis did not know of;
 * "queued": jobs left to do, as far as they are known}. store.not_found without a spec. */
json_t *recover_campaign(struct queue *queue, struct store *store, const char *id, bool named, bool dry_run,
                         struct error *err) must_check;

/* Whether Redis is as empty as new while the store holds campaigns. */
bool recover_is_needed(struct queue *queue, struct store *store, bool *needed, struct error *err) must_check;
