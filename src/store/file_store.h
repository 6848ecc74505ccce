/* The store in a local folder. Internal to the room; store_open is the door. */
#pragma once

#include "store/backend.h"

/* `root` is an absolute path, made when missing; its .tmp holds what is being written. NULL with io. */
struct store *file_store_open(const char *root, struct error *err) must_check;
