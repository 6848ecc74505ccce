/* What the server keeps of what it read for those who ask without a key. Private to this room. */
#pragma once

struct monitor;
struct monitor *monitor_new(void);
void monitor_free(struct monitor *monitor);
