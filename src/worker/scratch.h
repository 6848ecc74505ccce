/* A worker's folder for the files of its jobs. Private to this room. */
#pragma once

#include "base/error.h"

/* Makes a folder of this worker's own in <work_directory>/scratch and locks it until the process ends; first removes
 * what killed workers left there. The path is the caller's to free, the folder to remove. io, disk.full. */
char *scratch_make(const char *work_directory, struct error *err) must_check;
