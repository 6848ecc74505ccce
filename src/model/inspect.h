/* Inside the model room only: checking a file that a user wants to add. */
#pragma once

#include "base/json.h"

/* Loads the file, binds it to the role, runs it once on zeros and binds what really came out. Returns the
 * contract for its manifest (new reference): "scale" of an enhancer, "presence" of a mesh. model.invalid,
 * model.run. */
json_t *inspect_file(const char *role, const char *path, struct error *err) must_check;
