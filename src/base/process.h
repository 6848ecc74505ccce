/* What concerns the process as a whole. Only a `main` calls these, before it starts any thread; no other room changes
 * its process. The rooms whose libraries have such state have a function of this kind too: http_process_begin,
 * media_process_begin, model_process_begin. */
#pragma once

/* Ignores SIGPIPE: a peer that goes away is an error of the write, not the end of the process. */
void process_begin(void);
/* For a program of many short-lived threads that shall stay small: two arenas of memory instead of eight a core. */
void process_share_memory(void);
/* For a program whose blocks come and go by the megabyte, such as frames: the allocator keeps them, instead of having
 * the kernel map and clear them anew each time. */
void process_keep_memory(void);
