/* Fetching what a campaign of pictures made. */
#pragma once

#include "cli/client.h"

/* Calls `visit` with the record of each handful that is done, in order, until it returns false. `spec` is the
 * campaign's. False with *err as it set it, or the API's error. */
bool pictures_each_record(struct client *client, const json_t *spec,
                          bool (*visit)(const char *job, const json_t *record, void *context, struct error *err),
                          void *context, struct error *err) must_check;
/* Fetches the pictures that there are, and the sheet with its index if it is there, into a folder, which is made when
 * it is missing. What is there already is not fetched again, and another picture of that name is io. Appends {"number",
 * "seed","job","file","cut"} of each picture and {"file"} of the others to `files`; "cut", if its prompt was too long,
 * is that of the record. api.not_found when nothing is done. */
bool pictures_get(struct client *client, const json_t *spec, const char *folder, json_t *files,
                  struct error *err) must_check;
/* Prints the paths of such a list, and to stderr a warning for each prompt that was cut. */
void pictures_print(const json_t *files);
