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

static bool check_sum(const json_t *owner, struct error *err) {
    return is_sha256_hex(json_get_string(owner, "sha256", "")) ||
           error_set(err, ERR_MODEL_INVALID, "\"sha256\" must be 64 hex digits");
}

/* Checks a folder's files, and notes in the manifest what the folder is as a whole. */
static bool check_folder(json_t *manifest, struct error *err) {
    const json_t *files = json_object_get(manifest, "files");
    _cleanup_buffer_ struct buffer lines = {0};
    _cleanup_json_ json_t *seen = json_object();
    int64_t bytes = 0;
    for (size_t i = 0; i < json_array_size(files); i++) {
        const json_t *file = json_array_get(files, i);
        const char *path = json_get_string(file, "path", "");
        int64_t size = json_get_integer(file, "bytes", -1);
        if (!path_is_plain(path) || json_object_get(seen, path) || size < 0 || size > INT64_MAX - bytes)
            return error_set(err, ERR_MODEL_INVALID,
                             "each of \"files\" must have a \"path\" of its own inside the folder, and its \"bytes\"");
        if (!check_sum(file, err))
            return error_wrap(err, "%s", path);
        json_object_set_new(seen, path, json_true());
        buffer_appendf(&lines, "%s  %s\n", json_get_string(file, "sha256", ""), path);
        bytes += size;
    }
    if (lines.length == 0)
        return error_set(err, ERR_MODEL_INVALID, "\"files\" must be a list of files");
    unsigned char hash[SHA256_BYTES];
    char hex[SHA256_HEX + 1];
    sha256_of(lines.data, lines.length, hash);
    hex_encode(hash, sizeof hash, hex);
    json_object_set_new(manifest, "sha256", json_string(hex));
    json_object_set_new(manifest, "bytes", json_integer(bytes));
    return true;
}

static bool check_manifest(json_t *manifest, struct error *err) {
    const char *name = json_get_string(manifest, "name", ""), *file = json_get_string(manifest, "file", "");
    if (!is_model_name(name))
        return error_set(err, ERR_MODEL_INVALID, "\"name\" must be 1 to 64 of a-z 0-9 . _ -");
    if (!*json_get_string(manifest, "role", ""))
        return error_set(err, ERR_MODEL_INVALID, "\"role\" is missing");
    if (json_object_get(manifest, "files"))
        return check_folder(manifest, err);
    if (!*file || *file == '.' || strchr(file, '/'))
        return error_set(err, ERR_MODEL_INVALID, "\"file\" must be a plain file name");
    return check_sum(manifest, err);
}

static bool read_manifest(const struct zoo *zoo, const char *path, struct error *err) {
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

static bool is_folder(const json_t *manifest) { return json_object_get(manifest, "files") != NULL; }

/* Of the file, or the folder. */
static char *zoo_path(const struct zoo *zoo, const json_t *manifest) {
    return xasprintf("%s/%s", zoo->directory, json_get_string(manifest, is_folder(manifest) ? "name" : "file", ""));
}

json_t *zoo_files(const struct zoo *zoo, const char *name, struct error *err) {
    const json_t *manifest = zoo_manifest(zoo, name, err);
    if (!manifest)
        return NULL;
    json_t *list = json_array();
    const json_t *files = json_object_get(manifest, "files");
    for (size_t i = 0; i < json_array_size(files); i++) {
        json_t *file = json_copy(json_array_get(files, i));
        _cleanup_free_ char *path = xasprintf("%s/%s", name, json_get_string(file, "path", ""));
        json_object_set(file, "file", json_object_get(file, "path"));
        json_object_set_new(file, "path", json_string(path));
        json_array_append_new(list, file);
    }
    if (!files)
        json_array_append_new(list, json_pack("{s:O,s:O,s:O,s:O*}", "path", json_object_get(manifest, "file"), "file",
                                              json_object_get(manifest, "file"), "sha256",
                                              json_object_get(manifest, "sha256"), "bytes",
                                              json_object_get(manifest, "bytes")));
    return list;
}

/* A model that was added since the zoo was opened is found too: a worker runs for weeks. */
const json_t *zoo_manifest(const struct zoo *zoo, const char *name, struct error *err) {
    _cleanup_free_ char *path = xasprintf("%s/%s.json", zoo->directory, is_model_name(name) ? name : "");
    if (!json_object_get(zoo->models, name) && access(path, R_OK) == 0 && !read_manifest(zoo, path, err))
        return NULL;
    const json_t *manifest = json_object_get(zoo->models, name);
    if (!manifest)
        error_set(err, ERR_MODEL_NOT_FOUND, "there is no model \"%s\": see mela models list", name);
    return manifest;
}

/* Of one of its files: there, as long as the manifest says, and in the folder. */
static bool check_file_size(const struct zoo *zoo, const char *name, const json_t *file, struct error *err) {
    struct stat info;
    _cleanup_free_ char *path = xasprintf("%s/%s", zoo->directory, json_get_string(file, "path", ""));
    if (stat(path, &info) != 0)
        return error_set(err, ERR_MODEL_NOT_FOUND, "the weights of %s are not in %s: mela models pull %s brings them",
                         name, zoo->directory, name);
    int64_t bytes = json_get_integer(file, "bytes", info.st_size);
    return info.st_size == bytes ||
           error_set(err, ERR_MODEL_HASH_MISMATCH, "%s has %lld bytes, its manifest says %lld: pull %s again", path,
                     (long long)info.st_size, (long long)bytes, name);
}

static bool check_sizes(const struct zoo *zoo, const char *name, struct error *err) {
    _cleanup_json_ json_t *files = zoo_files(zoo, name, err);
    bool done = files != NULL;
    for (size_t i = 0; done && i < json_array_size(files); i++)
        done = check_file_size(zoo, name, json_array_get(files, i), err);
    return done;
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
        json_object_set_new(entry, "present", json_boolean(check_sizes(zoo, name, &why)));
        json_array_append_new(list, entry);
    }
    return list;
}

char *zoo_file(const struct zoo *zoo, const char *name, struct error *err) {
    if (!check_sizes(zoo, name, err))
        return NULL;
    const json_t *manifest = json_object_get(zoo->models, name);
    if (!is_folder(manifest))
        return zoo_path(zoo, manifest);
    error_set(err, ERR_MODEL_INVALID, "the model %s is a folder, where one file is wanted", name);
    return NULL;
}

char *zoo_folder(const struct zoo *zoo, const char *name, struct error *err) {
    if (!check_sizes(zoo, name, err))
        return NULL;
    const json_t *manifest = json_object_get(zoo->models, name);
    if (!is_folder(manifest)) {
        error_set(err, ERR_MODEL_INVALID, "the model %s is one file, where a folder is wanted", name);
        return NULL;
    }
    _cleanup_free_ char *folder = zoo_path(zoo, manifest);
    const json_t *files = json_object_get(manifest, "files");
    for (size_t i = 0; i < json_array_size(files); i++) {
        _cleanup_free_ char *path = xasprintf("%s/%s", folder, json_get_string(json_array_get(files, i), "path", ""));
        if (!path_is_inside(path, folder)) {
            error_set(err, ERR_MODEL_INVALID, "%s leads out of its model's folder: pull %s again", path, name);
            return NULL;
        }
    }
    return steal(folder);
}

static bool check_hash(const struct zoo *zoo, const char *name, const json_t *file, struct error *err) {
    _cleanup_free_ char *path = xasprintf("%s/%s", zoo->directory, json_get_string(file, "path", ""));
    const char *wanted = json_get_string(file, "sha256", "");
    char hex[SHA256_HEX + 1];
    if (!sha256_file(path, hex, NULL, err))
        return false;
    return strcmp(hex, wanted) == 0 ||
           error_set(err, ERR_MODEL_HASH_MISMATCH, "%s has sha256 %.12s..., its manifest says %.12s...: pull %s again",
                     path, hex, wanted, name);
}

bool zoo_check(const struct zoo *zoo, const char *name, struct error *err) {
    _cleanup_json_ json_t *files = check_sizes(zoo, name, err) ? zoo_files(zoo, name, err) : NULL;
    bool done = files != NULL;
    for (size_t i = 0; done && i < json_array_size(files); i++)
        done = check_hash(zoo, name, json_array_get(files, i), err);
    return done;
}

bool zoo_check_new_name(const struct zoo *zoo, const char *name, struct error *err) {
    if (!is_model_name(name))
        return error_set(err, ERR_MODEL_INVALID, "\"%s\" is no model name: use 1 to 64 of a-z 0-9 . _ -", name);
    if (json_object_get(zoo->models, name))
        return error_set(err, ERR_MODEL_INVALID, "the zoo has a model %s already: choose another name", name);
    return true;
}

static bool copy_bytes(const char *from, int to, const char *to_name, struct error *err) {
    _cleanup_fclose_ FILE *in = fopen(from, "rbe"), *out = fdopen(dup(to), "wb");
    char block[65536];
    if (!in)
        return error_set_errno(err, errno == ENOENT ? ERR_MODEL_NOT_FOUND : ERR_IO, errno, "cannot read %s", from);
    for (size_t got; (got = fread(block, 1, sizeof block, in)) > 0;)
        if (!out || fwrite(block, 1, got, out) != got)
            return error_set_errno(err, ERR_IO, errno, "cannot write %s", to_name);
    if (ferror(in))
        return error_set_errno(err, ERR_IO, errno, "cannot read %s", from);
    return (out && fflush(out) == 0 && fchmod(to, 0644) == 0 && fsync(to) == 0) ||
           error_set_errno(err, ERR_IO, errno, "cannot write %s", to_name);
}

bool zoo_copy_in(const struct zoo *zoo, const char *path, char **temporary, struct error *err) {
    if (access(path, R_OK) != 0)
        return error_set_errno(err, errno == ENOENT ? ERR_MODEL_NOT_FOUND : ERR_IO, errno, "cannot read %s", path);
    if (!directory_make(zoo->directory, err))
        return false;
    _cleanup_free_ char *name = xasprintf("%s/.adding.XXXXXX", zoo->directory);
    _cleanup_close_ int descriptor = mkostemp(name, O_CLOEXEC);
    if (descriptor < 0)
        return error_set_errno(err, ERR_IO, errno, "cannot write into %s", zoo->directory);
    *temporary = steal(name);
    return copy_bytes(path, descriptor, *temporary, err);
}

/* Copies one file of a folder and appends what it is to `files`. */
static bool copy_file_in(const char *from, const char *to, const char *path, json_t *files, struct error *err) {
    _cleanup_free_ char *source = xasprintf("%s/%s", from, path), *target = xasprintf("%s/%s", to, path);
    _cleanup_free_ char *folder = xstrndup(target, (size_t)(strrchr(target, '/') - target));
    char hex[SHA256_HEX + 1];
    int64_t bytes;
    if (!directory_make(folder, err))
        return false;
    _cleanup_close_ int descriptor = open(target, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (descriptor < 0)
        return error_set_errno(err, ERR_IO, errno, "cannot write %s", target);
    if (!copy_bytes(source, descriptor, target, err) || !sha256_file(target, hex, &bytes, err))
        return false;
    json_array_append_new(files, json_pack("{s:s,s:s,s:I}", "path", path, "sha256", hex, "bytes", (json_int_t)bytes));
    return true;
}

bool zoo_copy_folder_in(const struct zoo *zoo, const char *path, const json_t *names, char **temporary, json_t *files,
                        struct error *err) {
    *temporary = directory_make_temporary(zoo->directory, ".adding", err);
    bool done = *temporary &&
                (chmod(*temporary, 0755) == 0 || error_set_errno(err, ERR_IO, errno, "cannot write %s", *temporary));
    for (size_t i = 0; done && i < json_array_size(names); i++)
        done = copy_file_in(path, *temporary, json_string_value(json_array_get(names, i)), files, err);
    return done;
}

bool zoo_install(struct zoo *zoo, const char *temporary, json_t *manifest, struct error *err) {
    _cleanup_free_ char *weights = zoo_path(zoo, manifest);
    const char *name = json_get_string(manifest, "name", "");
    _cleanup_free_ char *path = xasprintf("%s/%s.json", zoo->directory, name);
    _cleanup_free_ char *text = json_dumps(manifest, JSON_INDENT(2));
    if (!file_rename(temporary, weights, err))
        return false;
    if (check_manifest(manifest, err) && file_write_atomic(path, text, strlen(text), 0644, err)) {
        json_object_set(zoo->models, name, manifest);
        return true;
    }
    tree_remove(weights);
    return false;
}
