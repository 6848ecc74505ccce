/* What the commands that run until they are stopped (up, serve) share. */
#pragma once

#include "base/error.h"

/* Blocks SIGTERM, SIGINT, SIGHUP and SIGCHLD in this thread and in all that it starts later, so call it before any is
 * started. Returns a descriptor that delivers them, which the caller closes; -1 with internal. */
int service_signals(struct error *err) must_check;
/* Waits until one of these signals other than SIGCHLD comes. */
void service_wait(int signals);
