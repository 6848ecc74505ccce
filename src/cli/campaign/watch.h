/* Following a campaign to its end. */
#pragma once

#include "cli/client.h"

/* Shows the campaign's progress until it ends: a bar a language on a terminal, plain lines elsewhere, with --json every
 * event as a line. Sets the exit status by how the campaign ended. False with api.unreachable, or the API's own error.
 */
bool watch_campaign(struct cli *cli, const char *id, struct error *err) must_check;
