#include "farm/limits.h"

static const struct {
    int64_t most;
    enum error_code code;
    const char *what, *advice;
} limits[] = {
#define LIMIT(symbol, most, error, what, advice, reason) {most, ERR_##error, what, advice},
#include "farm/limits.def"
#undef LIMIT
};

int64_t limit_most(enum limit limit) { return limits[limit].most; }

bool limit_check(enum limit limit, double found, const char *subject, struct error *err) {
    return found <= (double)limits[limit].most ||
           error_set(err, limits[limit].code, "%s has %.15g %s; the limit is %lld: %s", subject, found,
                     limits[limit].what, (long long)limits[limit].most, limits[limit].advice);
}
