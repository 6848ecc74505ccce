/* Replies. Private to this room. Each function sets the request's response; libmicrohttpd sends it
 * afterwards. */
#pragma once

#include "server/request.h"

/* Answers with JSON; steals the reference. False when `body` is NULL, whose maker has set
 * the error. */
bool reply_json(struct request *request, unsigned status, json_t *body) must_check;
/* Answers with text of a type; steals the bytes of `text`. Always true. */
bool reply_text(struct request *request, unsigned status, const char *type, struct buffer *text);
/* Answers {"error":{"code","message","details"}} with the code's HTTP status. */
void reply_error(struct request *request, const struct error *failure);
/* Answers with a response made elsewhere; owns it from here on. Always true. */
bool reply_response(struct request *request, unsigned status, struct MHD_Response *response);
/* Adds a header to the response, which must be there. */
void reply_header(struct request *request, const char *name, const char *value);
/* The message of an error as a JSON string. It may have been cut inside a character, or quote what a client
 * or a store sent; what is then no UTF-8 shows as question marks. New reference. */
json_t *reply_string(const char *message);
