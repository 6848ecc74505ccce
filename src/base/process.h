/* State of the process as a whole. Only a `main` calls these, before it starts a thread; no other room changes its
 * process. The rooms whose libraries have such state have a function of this kind too: http_process_begin,
 * media_process_begin, model_process_begin. */
#pragma once

#include <stdint.h>

/* Ignores SIGPIPE: a peer that goes away is an error of the write, not the end of the process. */
void process_begin(void);
/* For a program of many short-lived threads that is to stay small: malloc keeps two arenas instead of eight a core. */
void process_share_memory(void);
/* For a program that allocates and frees megabytes all the time, such as frames: malloc keeps blocks of up to 32 MiB
 * instead of having the kernel map and clear them anew each time. */
void process_keep_memory(void);
/* Memory that this process may use, in MB: what the kernel calls available, or the container's limit when that is less.
 * 0: unknown. */
int64_t process_memory_mb(void);
