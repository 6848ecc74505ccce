/* Connections to Redis: each thread borrows one for as long as it needs it; a few that are not in use are kept open.
 * For several threads at once. Private to this room. */
#pragma once

#include "queue/queue.h"

struct connections;

/* Opens nothing yet. `options` is copied, its strings too. */
struct connections *connections_new(const struct queue_options *options);
/* Closes those that are not in use; none may be borrowed any more. */
void connections_free(struct connections *connections);
/* What they are opened with; borrowed, valid until connections_free. */
const struct queue_options *connections_options(const struct connections *connections);

/* One that is kept, else a new one; goes back with connections_return. NULL with the errors of queue_open. */
struct queue *connections_borrow(struct connections *connections, struct error *err) must_check;
void connections_return(struct connections *connections, struct queue *queue);
