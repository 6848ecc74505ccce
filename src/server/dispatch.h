/* From a connection to a handler and back: libmicrohttpd's callbacks. A request starts with its target, is handled in
 * one or more calls, all by the thread of its connection, and is completed once. Private to this room. */
#pragma once

#include <microhttpd.h>

#include "server/auth.h"
#include "server/context.h"
#include "server/heads.h"

/* The context of the callbacks. All borrowed; read only while the server runs. */
struct dispatch {
    struct api *api;
    struct keys *keys;
    struct heads *heads;
    int64_t upload_limit; /* bytes */
};

/* MHD_OPTION_URI_LOG_CALLBACK: returns the request. */
void *dispatch_target(void *dispatch, const char *target, struct MHD_Connection *connection);
/* MHD_AccessHandlerCallback. */
enum MHD_Result dispatch_call(void *dispatch, struct MHD_Connection *connection, const char *url, const char *method,
                              const char *version, const char *data, size_t *length, void **state);
/* MHD_OPTION_NOTIFY_COMPLETED: counts, logs and frees the request. */
void dispatch_completed(void *dispatch, struct MHD_Connection *connection, void **state,
                        enum MHD_RequestTerminationCode code);
