/* The zoo: a directory of manifests (<name>.json) and weights. */
#pragma once

#include "base/json.h"

/* The models that are used where nobody names one. */
#define ZOO_DETECTOR "blazeface-128"
#define ZOO_MESH "face-mesh"
#define ZOO_ENHANCER "realesrgan-fast"

struct zoo;

/* Reads every manifest in `manifests` (shipped) and in `directory` (weights, and manifests of models the user
 * added; it may not exist yet). io, json.invalid or model.invalid name the file that is wrong. */
struct zoo *zoo_open(const char *manifests, const char *directory, struct error *err) must_check;
void zoo_close(struct zoo *zoo);
DEFINE_CLEANUP(struct zoo *, zoo_close)
#define _cleanup_zoo_ _cleanup_(zoo_close_cleanup)
/* The folder in which networks of this zoo keep their optimised graphs; NULL, as at first: nowhere. */
void zoo_set_cache(struct zoo *zoo, const char *directory);
const char *zoo_cache(const struct zoo *zoo);

/* [{"name","role","present","sha256","bytes","licence","source","memory_mb"}...]. New reference. */
json_t *zoo_list(const struct zoo *zoo);
/* The manifest, borrowed; model.not_found. */
const json_t *zoo_manifest(const struct zoo *zoo, const char *name, struct error *err) must_check;
/* Path of the weights after checking that they are there (size now, hash with zoo_check). Caller frees.
 * model.not_found, model.hash_mismatch. */
char *zoo_file(const struct zoo *zoo, const char *name, struct error *err) must_check;
/* Full hash check; model.hash_mismatch. */
bool zoo_check(const struct zoo *zoo, const char *name, struct error *err) must_check;

/* The parts of adding a model that touch the zoo's folder; model/add.h puts them together. */
/* True when `name` may be given to a new model; model.invalid says why not. */
bool zoo_check_new_name(const struct zoo *zoo, const char *name, struct error *err) must_check;
/* Copies the file at `path` into the zoo's folder under a temporary name and syncs it. *temporary, once it is set, is
 * the caller's to free and, unless it was installed, to unlink: also after a failure. model.not_found, io. */
bool zoo_copy_in(const struct zoo *zoo, const char *path, char **temporary, struct error *err) must_check;
/* Renames `temporary` to what the manifest calls its file, then writes the manifest: weights without a manifest are not
 * a model yet, so whoever reads the zoo in between sees nothing. io. */
bool zoo_install(struct zoo *zoo, const char *temporary, json_t *manifest, struct error *err) must_check;
