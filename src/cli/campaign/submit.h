/* Submitting a spec: its local files, and the request. */
#pragma once

#include "cli/client.h"

/* Replaces each local file that the spec names by the URI of its bytes, "sha256:<hex>"; relative paths start at
 * `folder`. What is no text is left as it is: the API reports all mistakes of a spec at once. The files and their URIs
 * are added to the object `files`. False with io. */
bool submit_name_files(json_t *spec, const char *folder, json_t *files, struct error *err) must_check;
/* Uploads those that the farm does not have; errors as client_upload. */
bool submit_upload_files(struct client *client, const json_t *files, struct error *err) must_check;
/* Submits the spec and prints the answer: the campaign's id, or with --json all of it, on one line when more `follows`.
 * Returns the answer, a new reference; NULL as client_request. */
json_t *submit_post(struct cli *cli, struct client *client, const json_t *spec, bool follows,
                    struct error *err) must_check;
/* Prints the answer's warnings to stderr, unless --json has them on stdout. */
void submit_print_warnings(const struct cli *cli, const json_t *warnings);
