#include "server/auth.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "base/buffer.h"
#include "base/digest.h"
#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/random.h"

enum { KEYS_FILE_LIMIT = 1024 * 1024, KEY_RANDOM = 43 };

struct key {
    char *name;
    enum role role;
    char sha256[SHA256_HEX + 1];
};

struct key_list {
    struct key *items;
    size_t count;
};

/* Which file it was; all 0: none. */
struct stamp {
    ino_t inode;
    off_t size;
    time_t seconds;
    long nanoseconds;
};

struct keys {
    char *path;
    /* Guards what follows. The file is read while it is held, which happens after a change only. */
    pthread_mutex_t lock;
    struct key_list list;
    struct stamp stamp; /* of the file that was read last, well or not */
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

static void key_list_clear(struct key_list *list) {
    for (size_t i = 0; i < list->count; i++)
        free(list->items[i].name);
    free(list->items);
    *list = (struct key_list){0};
}

/* Reads all entries; on failure *out holds nothing. */
static bool key_list_read(const char *path, struct key_list *out, struct error *err) {
    _cleanup_json_ json_t *root = keys_read(path, err);
    if (!root)
        return false;
    const json_t *list = json_object_get(root, "keys");
    if (!json_is_array(list))
        return error_set(err, ERR_CONFIG_INVALID, "keys file %s has no list \"keys\"", path);
    out->items = xnew_array(struct key, json_array_size(list) + 1);
    for (; out->count < json_array_size(list); out->count++)
        if (!key_parse(json_array_get(list, out->count), &out->items[out->count])) {
            error_set(err, ERR_CONFIG_INVALID,
                      "keys file %s: entry %zu needs a name, a role (viewer, producer, admin) and a sha256", path,
                      out->count);
            key_list_clear(out);
            return false;
        }
    return true;
}

static struct stamp stamp_of(const char *path) {
    struct stat info;
    if (stat(path, &info) != 0)
        return (struct stamp){0};
    return (struct stamp){info.st_ino, info.st_size, info.st_mtim.tv_sec, info.st_mtim.tv_nsec};
}

static bool stamp_equal(const struct stamp *a, const struct stamp *b) {
    return a->inode == b->inode && a->size == b->size && a->seconds == b->seconds && a->nanoseconds == b->nanoseconds;
}

struct keys *keys_load(const char *path, struct error *err) {
    _cleanup_keys_ struct keys *keys = xnew(struct keys);
    pthread_mutex_init(&keys->lock, NULL);
    keys->path = xstrdup(path);
    keys->stamp = stamp_of(path);
    if (!key_list_read(path, &keys->list, err))
        return NULL;
    if (keys->list.count == 0) {
        error_set(err, ERR_CONFIG_INVALID, "keys file %s has no \"keys\": nobody could use the API", path);
        return NULL;
    }
    return steal(keys);
}

void keys_free(struct keys *keys) {
    key_list_clear(&keys->list);
    pthread_mutex_destroy(&keys->lock);
    free(keys->path);
    free(keys);
}

/* Reads the file again when it is another one than before; the lock is held. One that cannot be read changes nothing:
 * the keys of before are better than none. An empty list is taken: its last key was revoked. */
static void keys_refresh(struct keys *keys) {
    struct stamp stamp = stamp_of(keys->path);
    struct key_list fresh = {0};
    struct error err;
    if (stamp_equal(&stamp, &keys->stamp))
        return;
    keys->stamp = stamp;
    if (!key_list_read(keys->path, &fresh, &err)) {
        log_write(NULL, LOG_WARN, "the keys of before stay in use: %s", err.message);
        return;
    }
    key_list_clear(&keys->list);
    keys->list = fresh;
    log_write(NULL, LOG_INFO, "read %zu keys from %s, which has changed", fresh.count, keys->path);
}

static void key_hash(const char *key, char hex[SHA256_HEX + 1]) {
    unsigned char hash[SHA256_BYTES];
    sha256_of(key, strlen(key), hash);
    hex_encode(hash, sizeof hash, hex);
}

bool keys_check(struct keys *keys, const char *key, enum role *role, char **name) {
    char hex[SHA256_HEX + 1];
    key_hash(key, hex);
    const struct key *found = NULL;
    pthread_mutex_lock(&keys->lock);
    keys_refresh(keys);
    for (size_t i = 0; i < keys->list.count; i++)
        if (equal_constant_time(hex, keys->list.items[i].sha256, SHA256_HEX))
            found = &keys->list.items[i];
    if (found) {
        *role = found->role;
        *name = xstrdup(found->name);
    }
    pthread_mutex_unlock(&keys->lock);
    return found;
}

/* Locks the folder of the file until the descriptor is closed, so that of two who change the file none undoes what the
 * other did; -1 with io. The file itself is replaced by each change, and so is no good for a lock. */
static int keys_lock(const char *path, struct error *err) {
    const char *slash = strrchr(path, '/');
    _cleanup_free_ char *folder = slash ? xstrndup(path, MAX((size_t)(slash - path), (size_t)1)) : xstrdup(".");
    int descriptor = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (descriptor >= 0 && flock(descriptor, LOCK_EX) == 0)
        return descriptor;
    error_set_errno(err, ERR_IO, errno, "cannot lock the folder %s", folder);
    if (descriptor >= 0)
        close(descriptor);
    return -1;
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

static bool keys_write(const char *path, const json_t *root, struct error *err) {
    _cleanup_free_ char *text = json_line(root);
    return file_write_atomic(path, text, strlen(text), 0600, err);
}

char *keys_create(const char *path, const char *name, enum role role, struct error *err) {
    _cleanup_close_ int lock = keys_lock(path, err);
    _cleanup_json_ json_t *root = lock >= 0 ? keys_read_or_new(path, err) : NULL;
    if (!root)
        return NULL;
    char random[KEY_RANDOM + 1], hex[SHA256_HEX + 1];
    random_text(random, KEY_RANDOM);
    _cleanup_free_ char *key = xasprintf("mela_%s", random);
    key_hash(key, hex);
    json_array_append_new(json_object_get(root, "keys"),
                          json_pack("{s:s, s:s, s:s}", "name", name, "role", role_name(role), "sha256", hex));
    return keys_write(path, root, err) ? steal(key) : NULL;
}

bool keys_revoke(const char *path, const char *name, int *count, struct error *err) {
    _cleanup_close_ int lock = keys_lock(path, err);
    _cleanup_json_ json_t *root = lock >= 0 ? keys_read(path, err) : NULL;
    if (!root)
        return false;
    json_t *list = json_object_get(root, "keys");
    *count = 0;
    for (size_t i = json_array_size(list); i-- > 0;)
        if (strcmp(json_get_string(json_array_get(list, i), "name", ""), name) == 0) {
            json_array_remove(list, i);
            ++*count;
        }
    return *count > 0 ? keys_write(path, root, err)
                      : error_set(err, ERR_USAGE, "keys file %s has no key of the name \"%s\"", path, name);
}
