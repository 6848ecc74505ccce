/* Keys: kept as SHA-256, compared in constant time, each with a name and a role. */
#pragma once

#include "base/error.h"

enum role { ROLE_VIEWER, ROLE_PRODUCER, ROLE_ADMIN }; /* reads; submits and cancels; retries and all else */

const char *role_name(enum role role);
bool role_parse(const char *name, enum role *out);

struct keys;
/* Reads {"keys":[{"name":"...","role":"producer","sha256":"<hex of the key>"}...]}; config.invalid. */
struct keys *keys_load(const char *path, struct error *err) must_check;
void keys_free(struct keys *keys);
DEFINE_CLEANUP(struct keys *, keys_free)
/* True and *role when `key` is known. Looks at every entry, whatever matches. `name` is borrowed. */
bool keys_check(const struct keys *keys, const char *key, enum role *role, const char **name);
/* Makes a random key ("mela_" + 43 characters), adds its hash to the file (0600), and returns it; caller
 * frees. */
char *keys_create(const char *path, const char *name, enum role role, struct error *err) must_check;
