/* The languages that a film is dubbed into. */
#pragma once

#include <stdbool.h>

enum { LANGUAGE_MAX = 35 }; /* characters */

/* A language tag of BCP 47 (RFC 5646), as it stands in job ids and keys: two or three letters, then parts of two to
 * eight letters and digits behind dashes: hi, pt-BR. */
bool language_is_valid(const char *language);
