#include "server/auth.h"

#include <errno.h>
#include <string.h>

#include "base/buffer.h"
#include "base/digest.h"
#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"
#include "base/random.h"

enum { KEYS_FILE_LIMIT = 1024 * 1024, KEY_RANDOM = 43 };

struct key {
    char *name;
    enum role role;
    char sha256[SHA256_HEX + 1];
};

struct keys {
    struct key *items;
    size_t count;
};

static const char *const role_names[] = {
    [ROLE_VIEWER] = "viewer", [ROLE_PRODUCER] = "producer", [ROLE_ADMIN] = "admin"};

const char *role_name(enum role role) { return role_names[role]; }

bool role_parse(const char *name, enum role *out) {
    for (size_t i = 0; i < ARRAY_LENGTH(role_names); i++)
        if (strcmp(role_names[i], name) == 0) {
            *out = (enum role)i;
            return true;
        }
    return false;
}

static bool key_parse(const json_t *entry, struct key *out) {
    const char *name = json_get_string(entry, "name", ""), *hash = json_get_string(entry, "sha256", "");
    if (!*name || !is_sha256_hex(hash) || !role_parse(json_get_string(entry, "role", ""), &out->role))
        return false;
    out->name = xstrdup(name);
    memcpy(out->sha256, hash, sizeof out->sha256);
    return true;
}

static json_t *keys_read(const char *path, struct error *err) {
    _cleanup_buffer_ struct buffer text = {0};
    struct error cause;
    if (!file_read(path, KEYS_FILE_LIMIT, &text, &cause)) {
        error_set(err, ERR_CONFIG_INVALID, "keys file: %s", cause.message);
        return NULL;
    }
    json_t *root = json_parse(text.data ? text.data : "", text.length, &cause);
    if (!root)
        error_set(err, ERR_CONFIG_INVALID, "keys file %s: %s", path, cause.message);
    return root;
}

struct keys *keys_load(const char *path, struct error *err) {
    _cleanup_json_ json_t *root = keys_read(path, err);
    if (!root)
        return NULL;
    const json_t *list = json_object_get(root, "keys");
    struct keys *keys = xnew(struct keys);
    keys->items = xnew_array(struct key, json_array_size(list) + 1);
    for (; keys->count < json_array_size(list); keys->count++)
        if (!key_parse(json_array_get(list, keys->count), &keys->items[keys->count])) {
            error_set(err, ERR_CONFIG_INVALID,
                      "keys file %s: entry %zu needs a name, a role (viewer, producer, admin) and a sha256", path,
                      keys->count);
            keys_free(keys);
            return NULL;
        }
    if (keys->count == 0) {
        error_set(err, ERR_CONFIG_INVALID, "keys file %s has no \"keys\": nobody could use the API", path);
        keys_free(keys);
        return NULL;
    }
    return keys;
}

void keys_free(struct keys *keys) {
    for (size_t i = 0; i < keys->count; i++)
        free(keys->items[i].name);
    free(keys->items);
    free(keys);
}

static void key_hash(const char *key, char hex[SHA256_HEX + 1]) {
    unsigned char hash[SHA256_BYTES];
    sha256_of(key, strlen(key), hash);
    hex_encode(hash, sizeof hash, hex);
}

bool keys_check(const struct keys *keys, const char *key, enum role *role, const char **name) {
    char hex[SHA256_HEX + 1];
    key_hash(key, hex);
    bool found = false;
    for (size_t i = 0; i < keys->count; i++)
        if (equal_constant_time(hex, keys->items[i].sha256, SHA256_HEX)) {
            *role = keys->items[i].role;
            *name = keys->items[i].name;
            found = true;
        }
    return found;
}

/* The file's content, or an empty list when there is no file yet. */
static json_t *keys_read_or_new(const char *path, struct error *err) {
    if (access(path, F_OK) != 0 && errno == ENOENT)
        return json_pack("{s:[]}", "keys");
    json_t *root = keys_read(path, err);
    if (root && !json_is_array(json_object_get(root, "keys"))) {
        json_decref(root);
        error_set(err, ERR_CONFIG_INVALID, "keys file %s has no list \"keys\"", path);
        return NULL;
    }
    return root;
}

char *keys_create(const char *path, const char *name, enum role role, struct error *err) {
    _cleanup_json_ json_t *root = keys_read_or_new(path, err);
    if (!root)
        return NULL;
    char random[KEY_RANDOM + 1], hex[SHA256_HEX + 1];
    random_text(random, KEY_RANDOM);
    _cleanup_free_ char *key = xasprintf("mela_%s", random);
    key_hash(key, hex);
    json_array_append_new(json_object_get(root, "keys"),
                          json_pack("{s:s, s:s, s:s}", "name", name, "role", role_name(role), "sha256", hex));
    _cleanup_free_ char *text = json_line(root);
    return file_write_atomic(path, text, strlen(text), 0600, err) ? steal(key) : NULL;
}
