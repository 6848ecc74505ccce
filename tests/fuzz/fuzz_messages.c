/* Any bytes as a message of the scaler: read or refused, and what was read is text. */
#include <stdlib.h>
#include <string.h>

#include "keda/messages.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

static void check(const char *text) {
    if (strlen(text) > MESSAGE_TEXT_MAX)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length) {
    struct scaled_object object;
    char metric[MESSAGE_TEXT_MAX + 1];
    struct error err;
    if (message_read_object(bytes, length, &object, &err)) {
        check(object.pool);
        check(object.class);
        check(object.farm);
    }
    if (message_read_metrics_request(bytes, length, &object, metric, &err))
        check(metric);
    return 0;
}
