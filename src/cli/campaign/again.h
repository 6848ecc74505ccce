/* Making pictures again: what a record or a picture of mela's says of how it was made, and whether it came out the
 * same. */
#pragma once

#include "base/json.h"

struct again {
    json_t *recipe, *origin;
    json_t *pictures; /* [{"place","seed","sha256"}...]: those to compare, by their place in the handful */
};

/* Reads a record.json, or a picture that has its recipe in it. False with io or usage. again_clear is due in any case.
 */
bool again_read(const char *file, struct again *out, struct error *err) must_check;
void again_clear(struct again *again);
#define _cleanup_again_ _cleanup_(again_clear)
/* Compares with the record of the new handful, NULL when it was not made: {"same": all are, "pictures": [{"place",
 * "seed","same"}...], "origin": {member: {"was","is"}}}, the members that differ. New reference. */
json_t *again_compare(const struct again *again, const json_t *record);
