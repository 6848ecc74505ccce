#include "base/random.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>

static void random_bytes(void *out, size_t length) {
    for (size_t done = 0; done < length;) {
        ssize_t got = getrandom((char *)out + done, length - done, 0);
        if (got < 0 && errno != EINTR)
            abort();
        if (got > 0)
            done += (size_t)got;
    }
}

double random_unit(void) {
    uint64_t bits;
    random_bytes(&bits, sizeof bits);
    return (double)(bits >> 11) * 0x1p-53;
}

void random_text(char *out, size_t length) {
    random_bytes(out, length);
    for (size_t i = 0; i < length; i++)
        out[i] = "0123456789abcdefghjkmnpqrstvwxyz"[(unsigned char)out[i] & 31];
    out[length] = '\0';
}
