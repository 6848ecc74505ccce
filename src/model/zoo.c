#include "model/zoo.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <string.h>
#include <sys/stat.h>

#include "base/digest.h"
#include "base/file.h"
#include "base/memory.h"

enum { MANIFEST_LIMIT = 1 << 20 };

struct zoo {
    char *directory, *cache;
    json_t *models; /* name: manifest */
};

static bool is_model_name(const char *name) {
    size_t length = strlen(name);
    return length >= 1 && length <= 64 && strchr("._-", name[0]) == NULL &&
           strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789._-") == length;
}

static bool check_manifest(const json_t *manifest, struct error *err) {
    const char *name = json_get_string(manifest, "name", ""), *file = json_get_string(manifest, "file", "");
    if (!is_model_name(name))
        return error_set(err, ERR_MODEL_INVALID, "\"name\" must be 1 to 64 of a-z 0-9 . _ -");
    if (!*file || *file == '.' || strchr(file, '/'))
        return error_set(err, ERR_MODEL_INVALID, "\"file\" must be a plain file name");
    if (!*json_get_string(manifest, "role", ""))
        return error_set(err, ERR_MODEL_INVALID, "\"role\" is missing");
    return is_sha256_hex(json_get_string(manifest, "sha256", "")) ||
           error_set(err, ERR_MODEL_INVALID, "\"sha256\" must be 64 hex digits");
}

static bool read_manifest(struct zoo *zoo, const char *path, struct error *err) {
    _cleanup_buffer_ struct buffer text = {0};
    if (!file_read(path, MANIFEST_LIMIT, &text, err))
        return false;
    _cleanup_json_ json_t *manifest = json_parse(text.data, text.length, err);
    if (!manifest || !check_manifest(manifest, err))
        return error_wrap(err, "%s", path);
    json_object_set(zoo->models, json_get_string(manifest, "name", ""), manifest);
    return true;
}

static bool read_manifests(struct zoo *zoo, const char *directory, struct error *err) {
    _cleanup_free_ char *pattern = xasprintf("%s/*.json", directory);
    glob_t found;
    if (glob(pattern, 0, NULL, &found) != 0)
        return true;
    bool done = true;
    for (size_t i = 0; done && i < found.gl_pathc; i++)
        done = read_manifest(zoo, found.gl_pathv[i], err);
    globfree(&found);
    return done;
}

struct zoo *zoo_open(const char *manifests, const char *directory, struct error *err) {
    if (access(manifests, R_OK) != 0) {
        error_set_errno(err, ERR_IO, errno, "cannot read the model manifests in %s", manifests);
        return NULL;
    }
    _cleanup_zoo_ struct zoo *zoo = xnew(struct zoo);
    zoo->directory = xstrdup(directory);
    zoo->models = json_object();
    /* The shipped ones last: a user's manifest cannot take the place of one. */
    if (!read_manifests(zoo, directory, err) || !read_manifests(zoo, manifests, err))
        return NULL;
    return steal(zoo);
}

void zoo_close(struct zoo *zoo) {
    json_decref(zoo->models);
    free(zoo->directory);
    free(zoo->cache);
    free(zoo);
}

void zoo_set_cache(struct zoo *zoo, const char *directory) {
    free(zoo->cache);
    zoo->cache = xstrdup(directory);
}

const char *zoo_cache(const struct zoo *zoo) { return zoo->cache; }

static char *zoo_path(const struct zoo *zoo, const json_t *manifest) {
    return xasprintf("%s/%s", zoo->directory, json_get_string(manifest, "file", ""));
}

json_t *zoo_list(const struct zoo *zoo) {
    static const char *const copied[] = {"name", "role", "sha256", "bytes", "licence", "source", "memory_mb"};
    json_t *list = json_array();
    const char *name;
    json_t *manifest;
    json_object_foreach (zoo->models, name, manifest) {
        json_t *entry = json_object();
        for (size_t i = 0; i < ARRAY_LENGTH(copied); i++)
            if (json_object_get(manifest, copied[i]))
                json_object_set(entry, copied[i], json_object_get(manifest, copied[i]));
        struct error why;
        _cleanup_free_ char *path = zoo_file(zoo, name, &why);
        json_object_set_new(entry, "present", json_boolean(path != NULL));
        json_array_append_new(list, entry);
    }
    return list;
}

const json_t *zoo_manifest(const struct zoo *zoo, const char *name, struct error *err) {
    const json_t *manifest = json_object_get(zoo->models, name);
    if (!manifest)
        error_set(err, ERR_MODEL_NOT_FOUND, "there is no model \"%s\": see mela models list", name);
    return manifest;
}

char *zoo_file(const struct zoo *zoo, const char *name, struct error *err) {
    const json_t *manifest = zoo_manifest(zoo, name, err);
    if (!manifest)
        return NULL;
    _cleanup_free_ char *path = zoo_path(zoo, manifest);
    struct stat info;
    if (stat(path, &info) != 0) {
        error_set(err, ERR_MODEL_NOT_FOUND, "the weights of %s are not in %s: mela models pull %s brings them", name,
                  zoo->directory, name);
        return NULL;
    }
    int64_t bytes = json_get_integer(manifest, "bytes", info.st_size);
    if (info.st_size != bytes) {
        error_set(err, ERR_MODEL_HASH_MISMATCH, "%s has %lld bytes, its manifest says %lld: pull %s again", path,
                  (long long)info.st_size, (long long)bytes, name);
        return NULL;
    }
    return steal(path);
}

bool zoo_check(const struct zoo *zoo, const char *name, struct error *err) {
    _cleanup_free_ char *path = zoo_file(zoo, name, err);
    char hex[SHA256_HEX + 1];
    if (!path || !sha256_file(path, hex, NULL, err))
        return false;
    const char *wanted = json_get_string(json_object_get(zoo->models, name), "sha256", "");
    return strcmp(hex, wanted) == 0 ||
           error_set(err, ERR_MODEL_HASH_MISMATCH, "%s has sha256 %.12s..., its manifest says %.12s...: pull %s again",
                     path, hex, wanted, name);
}

bool zoo_check_new_name(const struct zoo *zoo, const char *name, struct error *err) {
    if (!is_model_name(name))
        return error_set(err, ERR_MODEL_INVALID, "\"%s\" is no model name: use 1 to 64 of a-z 0-9 . _ -", name);
    if (json_object_get(zoo->models, name))
        return error_set(err, ERR_MODEL_INVALID, "the zoo has a model %s already: choose another name", name);
    return true;
}

bool zoo_copy_in(const struct zoo *zoo, const char *path, char **temporary, struct error *err) {
    _cleanup_fclose_ FILE *from = fopen(path, "rbe");
    if (!from)
        return error_set_errno(err, errno == ENOENT ? ERR_MODEL_NOT_FOUND : ERR_IO, errno, "cannot read %s", path);
    if (!directory_make(zoo->directory, err))
        return false;
    _cleanup_free_ char *name = xasprintf("%s/.adding.XXXXXX", zoo->directory);
    _cleanup_close_ int descriptor = mkostemp(name, O_CLOEXEC);
    if (descriptor < 0)
        return error_set_errno(err, ERR_IO, errno, "cannot write into %s", zoo->directory);
    *temporary = steal(name);
    _cleanup_fclose_ FILE *to = fdopen(dup(descriptor), "wb");
    char block[65536];
    for (size_t got; (got = fread(block, 1, sizeof block, from)) > 0;)
        if (!to || fwrite(block, 1, got, to) != got)
            return error_set_errno(err, ERR_IO, errno, "cannot write %s", *temporary);
    if (ferror(from))
        return error_set_errno(err, ERR_IO, errno, "cannot read %s", path);
    if (fflush(to) != 0 || fchmod(descriptor, 0644) != 0 || fsync(descriptor) != 0)
        return error_set_errno(err, ERR_IO, errno, "cannot write %s", *temporary);
    return true;
}

bool zoo_install(struct zoo *zoo, const char *temporary, json_t *manifest, struct error *err) {
    _cleanup_free_ char *weights = zoo_path(zoo, manifest);
    const char *name = json_get_string(manifest, "name", "");
    if (rename(temporary, weights) != 0)
        return error_set_errno(err, ERR_IO, errno, "cannot write %s", weights);
    _cleanup_free_ char *path = xasprintf("%s/%s.json", zoo->directory, name);
    _cleanup_free_ char *text = json_dumps(manifest, JSON_INDENT(2));
    if (!file_write_atomic(path, text, strlen(text), 0644, err))
        return false;
    json_object_set(zoo->models, name, manifest);
    return true;
}
