/* Keys: kept as SHA-256, compared in constant time, each with a name and a role. */
#pragma once

#include "base/error.h"

/* Ascending: each may do what the ones before it may. */
enum role {
    ROLE_VIEWER,   /* reads */
    ROLE_PRODUCER, /* uploads, submits, cancels */
    ROLE_ADMIN,    /* retries, holds */
};

/* "viewer", "producer", "admin". Static. */
const char *role_name(enum role role);
bool role_parse(const char *name, enum role *out);

struct keys;
/* Reads {"keys":[{"name":"...","role":"producer","sha256":"<hex of the key>"}...]}; config.invalid. */
struct keys *keys_load(const char *path, struct error *err) must_check;
void keys_free(struct keys *keys);
DEFINE_CLEANUP(struct keys *, keys_free)
#define _cleanup_keys_ _cleanup_(keys_free_cleanup)
/* True, *role and *name (caller frees) when `key` is known. Compares every entry, so that the time shows nothing. A
 * file that has changed is read again first, so that a key is good or revoked from the next request on. From any
 * thread. */
bool keys_check(struct keys *keys, const char *key, enum role *role, char **name);
/* Makes a random key ("mela_" + 43 characters), adds its hash to the file (0600; made when missing), and returns it;
 * caller frees. Several processes may
 * do so at once. */
char *keys_create(const char *path, const char *name, enum role role, struct error *err) must_check;
/* Takes all keys of this name out of the file; *count is how many. usage when there is none. */
bool keys_revoke(const char *path, const char *name, int *count, struct error *err) must_check;
