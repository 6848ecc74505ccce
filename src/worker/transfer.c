#include "worker/transfer.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "base/digest.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/thread.h"
#include "work/flow.h"

enum { FETCHERS = 8, BLOCK = 256 * 1024 };

/* ---- before the job ---- */

/* What the fetching threads share. Most files are small, so over a network a fetch is mostly waiting: several are
 * fetched at a time. The threads write only the atomics, the flow, and what belongs to one source, which no two of them
 * fetch. */
struct fetching {
    const struct transfer *transfer;
    struct fetched *out; /* as many as there are sources, before the threads start */
    struct flow flow;
    /* `next`: adding to it makes a source this thread's alone; `counted` is for the progress. The files are read only
     * after the threads were joined, so these two order nothing: any memory order would do. */
    _Atomic size_t next;
    _Atomic int64_t counted;
};

void fetched_release(struct fetched *fetched) {
    for (size_t i = 0; i < fetched->count; i++) {
        cache_release_cleanup(&fetched->held[i]);
        free(fetched->paths[i]);
        free(fetched->keys[i]);
    }
    free(fetched->inputs);
    free(fetched->held);
    free(fetched->paths);
    free(fetched->keys);
    *fetched = (struct fetched){0};
}

static bool fetch_range(struct store *store, const char *key, const struct job_source *source, const char *path,
                        struct error *err) {
    _cleanup_buffer_ struct buffer bytes = {0};
    return store_get_range(store, key, source->first, (size_t)source->length, &bytes, err) &&
           file_write_atomic(path, bytes.data, bytes.length, 0644, err);
}

/* The source's local path, which the caller frees; *held keeps it there, if it is not in the job's folder. */
static char *fetch_source(const struct transfer *transfer, const struct job_source *source, const char *key,
                          struct cache_entry **held, struct error *err) {
    if (source->uri) {
        *held = input_fetch(transfer->cache, transfer->store, source->uri, err);
        return *held ? xstrdup(cache_entry_path(*held)) : NULL;
    }
    _cleanup_free_ char *path = xasprintf("%s/%s", transfer->folder, source->name);
    bool got = source->length > 0 ? fetch_range(transfer->store, key, source, path, err)
                                  : store_get_file(transfer->store, key, path, err);
    return got ? steal(path) : NULL;
}

static bool fetch_one(struct fetching *fetching, size_t i, struct error *err) {
    const struct job_source *source = &fetching->transfer->files->sources[i];
    struct fetched *out = fetching->out;
    if (!source->uri && !out->keys[i])
        return true; /* it may be missing, and is */
    out->paths[i] = fetch_source(fetching->transfer, source, out->keys[i], &out->held[i], err);
    out->inputs[i] = (struct job_file){source->name, out->paths[i]};
    if (!out->paths[i])
        return source->label ? error_wrap(err, "%s", source->label) : false;
    if (source->is_counted)
        atomic_store(&fetching->transfer->progress->frames, atomic_fetch_add(&fetching->counted, 1) + 1);
    return true;
}

static void *fetch_thread(void *context) {
    struct fetching *fetching = context;
    while (!flow_stopped(&fetching->flow)) {
        size_t i = atomic_fetch_add(&fetching->next, 1);
        if (i >= fetching->out->count)
            break;
        struct error err;
        if (!fetch_one(fetching, i, &err))
            flow_fail(&fetching->flow, &err);
    }
    return NULL;
}

static bool fetch_all(struct fetching *fetching, struct error *err) {
    flow_init(&fetching->flow, fetching->transfer->cancel);
    pthread_t threads[FETCHERS] = {0};
    size_t count = MIN(fetching->out->count, FETCHERS), running = 0;
    struct error refused;
    while (running < count && thread_start(&threads[running], "fetch", fetch_thread, fetching, &refused))
        running++;
    if (running < count)
        flow_fail(&fetching->flow, &refused);
    for (size_t i = 0; i < running; i++)
        pthread_join(threads[i], NULL);
    bool good = flow_result(&fetching->flow, err);
    flow_destroy(&fetching->flow);
    return good;
}

static int64_t count_for_progress(const struct job_files *files) {
    int64_t count = 0;
    for (size_t i = 0; i < files->source_count; i++)
        count += files->sources[i].is_counted;
    return count;
}

/* Where each source lies in the store. */
static void set_keys(const struct job_files *files, const char *const *artifacts, struct fetched *out) {
    out->keys = xnew_array(char *, files->source_count);
    for (size_t i = 0; i < files->source_count; i++) {
        const struct job_source *source = &files->sources[i];
        const char *key = source->job ? *artifacts++ : source->key;
        out->keys[i] = key && source->beside ? layout_beside(key, source->beside) : xstrdup(key);
    }
}

bool transfer_fetch_sources(const struct transfer *transfer, const char *const *artifacts, struct fetched *out,
                            struct error *err) {
    const struct job_files *files = transfer->files;
    int64_t began = step_start();
    out->inputs = xnew_array(struct job_file, files->source_count);
    out->paths = xnew_array(char *, files->source_count);
    out->held = xnew_array(struct cache_entry *, files->source_count);
    set_keys(files, artifacts, out);
    out->count = files->source_count;
    atomic_store(&transfer->progress->of, count_for_progress(files));
    struct fetching fetching = {.transfer = transfer, .out = out};
    bool fetched = fetch_all(&fetching, err);
    step_stop(transfer->times, STEP_FETCH, began);
    return fetched;
}

/* ---- after the job ---- */

/* Opens what the job left, and says how long it is; -1 with *err for anything but a regular file of its own. A job that
 * was taken over by what it read might leave a link to a file that it may not read itself, or a pipe on which the
 * worker would wait for ever.
 */
static int target_open(const struct transfer *transfer, const struct job_target *target, int64_t *size,
                       struct error *err) {
    _cleanup_free_ char *path = xasprintf("%s/%s", transfer->folder, target->name);
    _cleanup_close_ int descriptor = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    struct stat info;
    if (descriptor < 0 || fstat(descriptor, &info) != 0) {
        bool missing = errno == ENOENT || errno == ELOOP || errno == ENXIO;
        error_set_errno(err, missing ? ERR_INTERNAL : ERR_IO, errno, "the job left no %s", target->name);
        return -1;
    }
    if (!S_ISREG(info.st_mode)) {
        error_set(err, ERR_INTERNAL, "the job left a %s that is no regular file", target->name);
        return -1;
    }
    *size = info.st_size;
    int opened = descriptor;
    descriptor = -1;
    return opened;
}

bool transfer_read_artifact(const struct transfer *transfer, size_t limit, struct buffer *out, struct error *err) {
    int64_t size;
    _cleanup_close_ int descriptor = target_open(transfer, job_files_artifact(transfer->files), &size, err);
    _cleanup_free_ char *path = xasprintf("/proc/self/fd/%d", descriptor);
    return descriptor >= 0 && file_read(path, limit, out, err);
}

/* Copies the open file into the writer, hashing what goes there. */
static bool send_file(int descriptor, struct store_writer *writer, int64_t *bytes, char hex[SHA256_HEX + 1],
                      struct error *err) {
    _cleanup_sha256_ struct sha256 *hash = sha256_new();
    _cleanup_free_ char *block = xcalloc(1, BLOCK);
    ssize_t got;
    for (*bytes = 0; (got = read(descriptor, block, BLOCK)) > 0; *bytes += got) {
        sha256_update(hash, block, (size_t)got);
        if (!store_writer_write(writer, block, (size_t)got, err))
            return false;
    }
    if (got < 0)
        return error_set_errno(err, ERR_IO, errno, "cannot read what the job left");
    unsigned char digest[SHA256_BYTES];
    sha256_finish(steal(hash), digest);
    hex_encode(digest, sizeof digest, hex);
    return true;
}

static bool deliver_one(const struct transfer *transfer, const struct job_target *target, json_t *report,
                        struct error *err) {
    char hex[SHA256_HEX + 1];
    int64_t size, bytes;
    _cleanup_close_ int descriptor = target_open(transfer, target, &size, err);
    if (descriptor < 0)
        return false;
    _cleanup_store_writer_ struct store_writer *writer = store_writer_open(transfer->store, target->key, size, err);
    if (!writer || !send_file(descriptor, writer, &bytes, hex, err))
        return false;
    if (!store_writer_commit(steal(writer), target->once ? STORE_IF_ABSENT : 0, err))
        return target->once && err->code == ERR_STORE_EXISTS;
    if (target->is_artifact) {
        json_object_set_new(report, "bytes", json_integer(bytes));
        json_object_set_new(report, "sha256", json_string(hex));
    }
    return true;
}

bool transfer_deliver_targets(const struct transfer *transfer, json_t *report, struct error *err) {
    int64_t began = step_start();
    atomic_store(&transfer->progress->step, STEP_UPLOAD);
    for (size_t i = 0; i < transfer->files->target_count; i++) {
        /* Not before the first: a job that is done when it is told to stop is still published, if it is ours. */
        if (i > 0 && atomic_load(transfer->cancel))
            return error_set(err, ERR_CANCELLED, "the job was told to stop");
        if (!deliver_one(transfer, &transfer->files->targets[i], report, err))
            return false;
    }
    step_stop(transfer->times, STEP_UPLOAD, began);
    return true;
}
