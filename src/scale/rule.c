#include "scale/rule.h"

#include "base/cleanup.h"

int scale_desired(const struct scale_demand *demand, int cap) {
    int64_t jobs = demand->ready + demand->leased + demand->delayed;
    int64_t wanted = jobs <= 0 ? 0 : jobs <= 5 ? 2 : jobs <= 20 ? (jobs + 2) / 3 : (jobs + 1) / 2;
    return (int)MIN(wanted, (int64_t)cap);
}
