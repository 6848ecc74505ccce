#include "store/sink.h"

#include <errno.h>
#include <unistd.h>

bool sink_write_descriptor(void *context, const void *data, size_t length, struct error *err) {
    for (size_t done = 0; done < length;) {
        ssize_t wrote = write(*(int *)context, (const char *)data + done, length - done);
        if (wrote < 0 && errno != EINTR)
            return error_set_errno(err, ERR_IO, errno, "cannot write the object to a local file");
        done += wrote > 0 ? (size_t)wrote : 0;
    }
    return true;
}

bool sink_write_limited(void *context, const void *data, size_t length, struct error *err) {
    struct sink_limit *limit = context;
    if (length > limit->left)
        return error_set(err, ERR_STORE_TOO_LARGE, "the object is larger than this operation allows");
    buffer_append(limit->out, data, length);
    limit->left -= length;
    return true;
}
