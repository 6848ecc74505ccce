/* What an executor may send its supervisor, or the other way: in two pieces, cut where the first byte says. Whatever
 * comes is a message, not yet one, or refused; a message that was accepted is an object and goes over the wire again.
 */
#include "executor/wire.h"
#include "fuzz.h"

enum { LONGEST = 4096 };

/* Takes what is there whole; false when the rest is no message. */
static bool take_messages(struct wire *wire) {
    struct error err;
    for (json_t *message;;) {
        size_t before = wire->in.length;
        if (!wire_next(wire, &message, &err)) {
            ensure(err.code == ERR_INTERNAL && !message);
            return false;
        }
        if (!message)
            return true;
        ensure(json_is_object(message) && wire->in.length < before);
        json_decref(message);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length) {
    if (length == 0)
        return 0;
    struct wire wire = {.socket = -1, .longest = LONGEST};
    size_t first = MIN((size_t)bytes[0], length - 1);
    buffer_append(&wire.in, bytes + 1, first);
    if (take_messages(&wire)) {
        buffer_append(&wire.in, bytes + 1 + first, length - 1 - first);
        (void)take_messages(&wire);
    }
    wire_close(&wire);
    return 0;
}
