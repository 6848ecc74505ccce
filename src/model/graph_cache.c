#include "model/graph_cache.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <onnxruntime_c_api.h>
#include <string.h>
#include <sys/stat.h>

#include "base/buffer.h"
#include "base/digest.h"
#include "base/log.h"
#include "base/memory.h"

/* The layout of optimised weights depends on the CPU's vector width: "flags" on x86, "Features" on Arm. */
static void append_cpu(struct buffer *text) {
    _cleanup_fclose_ FILE *file = fopen("/proc/cpuinfo", "re");
    char line[8192];
    while (file && fgets(line, sizeof line, file))
        if (strncmp(line, "flags", 5) == 0 || strncmp(line, "Features", 8) == 0) {
            buffer_append_text(text, line);
            return;
        }
}

bool graph_cache_key(const char *path, const struct device *device, char key[33], struct error *err) {
    struct stat info;
    if (stat(path, &info) != 0)
        return error_set_errno(err, ERR_IO, errno, "cannot read %s", path);
    _cleanup_free_ char *real = realpath(path, NULL);
    _cleanup_buffer_ struct buffer text = {0};
    buffer_appendf(&text, "%s\n%lld %lld.%09ld\n%s\n%d\n", real ? real : path, (long long)info.st_size,
                   (long long)info.st_mtim.tv_sec, info.st_mtim.tv_nsec, OrtGetApiBase()->GetVersionString(),
                   (int)device->kind);
    append_cpu(&text);
    unsigned char hash[SHA256_BYTES];
    sha256_of(text.data, text.length, hash);
    hex_encode(hash, 16, key);
    return true;
}

static bool cached_graph_is_whole(const char *path) {
    char hex[SHA256_HEX + 1];
    struct error ignored;
    const char *name = strrchr(path, '/') + 1;
    return sha256_file(path, hex, NULL, &ignored) && strlen(name) > 33 && strncmp(name + 33, hex, SHA256_HEX) == 0;
}

char *graph_cache_find(const char *directory, const char *key) {
    _cleanup_free_ char *pattern = xasprintf("%s/%s.*.onnx", directory, key);
    glob_t found;
    char *whole = NULL;
    if (glob(pattern, GLOB_NOSORT, NULL, &found) != 0)
        return NULL;
    for (size_t i = 0; i < found.gl_pathc && !whole; i++) {
        if (cached_graph_is_whole(found.gl_pathv[i])) {
            whole = xstrdup(found.gl_pathv[i]);
        } else {
            log_write(NULL, LOG_WARN, "%s is damaged: building it again", found.gl_pathv[i]);
            unlink(found.gl_pathv[i]);
        }
    }
    globfree(&found);
    return whole;
}

static bool sync_file(const char *path, struct error *err) {
    _cleanup_close_ int descriptor = open(path, O_RDONLY | O_CLOEXEC);
    if (descriptor < 0 || fsync(descriptor) != 0)
        return error_set_errno(err, ERR_IO, errno, "cannot write %s", path);
    return true;
}

bool graph_cache_publish(const char *directory, const char *key, const char *temporary, struct error *err) {
    char hex[SHA256_HEX + 1];
    /* The runtime names things inside a graph anew each time, so the bytes of two graphs differ: without this, workers
     * that started together would leave one file each. */
    _cleanup_free_ char *existing = graph_cache_find(directory, key);
    bool done = existing || (sync_file(temporary, err) && sha256_file(temporary, hex, NULL, err));
    if (done && !existing) {
        _cleanup_free_ char *path = xasprintf("%s/%s.%s.onnx", directory, key, hex);
        if (rename(temporary, path) != 0)
            done = error_set_errno(err, ERR_IO, errno, "cannot write %s", path);
    }
    unlink(temporary);
    return done;
}
