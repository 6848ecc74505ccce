/* What the commands that stay (up, serve) share: stopping in order. */
#pragma once

#include "base/error.h"

/* Blocks SIGTERM, SIGINT, SIGHUP and SIGCHLD in this thread and all it starts later, and returns a descriptor
 * that delivers them; -1 with internal. */
int service_signals(struct error *err) must_check;
/* Waits until a signal asks to stop. */
void service_wait(int signals);
