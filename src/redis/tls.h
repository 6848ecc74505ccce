/* TLS to Redis, where the installed hiredis has it (1.0 or later, with libhiredis_ssl). */
#pragma once

#include <hiredis/hiredis.h>

#include "base/error.h"

struct redis_tls;

/* What the connections of one client share. `ca`: file with the authorities to trust (PEM); NULL: the system's.
 * queue.config when there is no TLS, or the file is none. */
struct redis_tls *redis_tls_open(const char *ca, struct error *err) must_check;
void redis_tls_close(struct redis_tls *tls);
/* Shakes hands over a fresh connection; the server must prove that it is `host`. A certificate that does not is
 * queue.config; a connection that broke is left in context->err, and is false too. */
bool redis_tls_start(const struct redis_tls *tls, redisContext *context, const char *host,
                     struct error *err) must_check;
