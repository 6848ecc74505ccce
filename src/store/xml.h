/* Just enough XML to read S3's and STS's fixed answers: no attributes' values, no CDATA, no nested elements
 * of one name. Internal to the room. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* The inside of the next element `tag` behind *cursor, which moves behind it; false when there is none. */
bool xml_next(const char **cursor, const char *tag, const char **inside, size_t *length);
/* The first element `tag` in `xml`, entities decoded; NULL when there is none. Caller frees. */
char *xml_text(const char *xml, size_t length, const char *tag);
