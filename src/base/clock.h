/* Time, injectable: code that waits or stamps takes a clock, and tests give it one they move by hand. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct clock {
    int64_t (*wall_ms)(void *context);           /* Unix time in milliseconds */
    int64_t (*monotonic_ns)(void *context);      /* never goes back; for durations */
    void (*sleep_ms)(void *context, int64_t ms); /* returns early on a signal */
    void *context;
};

/* The machine's clocks. Static. */
const struct clock *clock_system(void);

static inline int64_t clock_wall_ms(const struct clock *clock) { return clock->wall_ms(clock->context); }
static inline int64_t clock_monotonic_ns(const struct clock *clock) { return clock->monotonic_ns(clock->context); }
/* As clock_monotonic_ns in milliseconds, for deadlines. */
static inline int64_t clock_monotonic_ms(const struct clock *clock) { return clock_monotonic_ns(clock) / 1000000; }
static inline void clock_sleep_ms(const struct clock *clock, int64_t ms) { clock->sleep_ms(clock->context, ms); }

/* "2026-11-08T12:30:00.000Z" for Unix milliseconds; `out` holds 32 bytes. */
void clock_format_iso(int64_t unix_ms, char out[32]);
/* Parses an RFC 3339 date-time with offset or Z into Unix milliseconds; false when it is none. */
bool clock_parse_iso(const char *text, int64_t *unix_ms);
