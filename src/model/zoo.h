/* The zoo: a directory of manifests (<name>.json) and weights. The weights of a model are one file ("file", "sha256",
 * "bytes"), or the folder of its name ("files": [{"path", "sha256", "bytes"}...]); a folder's sha256 is that of the
 * lines "<sha256>  <path>\n" of its files, in the manifest's order. */
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
/* Path of a model's folder, after checking that each of its files is there, of the manifest's size, and in the folder
 * whatever links it goes through. Caller frees. model.not_found, model.hash_mismatch; model.invalid when the model is
 * one file. */
char *zoo_folder(const struct zoo *zoo, const char *name, struct error *err) must_check;
/* All files of a model, whether one or a folder: [{"path" below the zoo's directory, "file" in the model's folder,
 * "sha256", "bytes"}...]. New reference; model.not_found. */
json_t *zoo_files(const struct zoo *zoo, const char *name, struct error *err) must_check;
/* Full hash check of every file; model.hash_mismatch. */
bool zoo_check(const struct zoo *zoo, const char *name, struct error *err) must_check;

/* The parts of adding a model that touch the zoo's folder; model/add.h puts them together. */
/* True when `name` may be given to a new model; model.invalid says why not. */
bool zoo_check_new_name(const struct zoo *zoo, const char *name, struct error *err) must_check;
/* Copies the file at `path` into the zoo's folder under a temporary name and syncs it. *temporary, once it is set, is
 * the caller's to free and, unless it was installed, to unlink: also after a failure. model.not_found, io. */
bool zoo_copy_in(const struct zoo *zoo, const char *path, char **temporary, struct error *err) must_check;
/* The same for the files of these names (an array) in the folder at `path`: *temporary is a folder, and of each file
 * {"path", "sha256", "bytes"} is appended to `files`, as a manifest has it. */
bool zoo_copy_folder_in(const struct zoo *zoo, const char *path, const json_t *names, char **temporary, json_t *files,
                        struct error *err) must_check;
/* Renames `temporary` to what the manifest calls its file, then writes the manifest: weights without a manifest are not
 * a model yet, so whoever reads the zoo in between sees nothing. io, model.invalid; a failure leaves no weights. */
bool zoo_install(struct zoo *zoo, const char *temporary, json_t *manifest, struct error *err) must_check;
