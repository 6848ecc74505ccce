/* Spot instances: AWS gives notice two minutes before it takes one away (IMDSv2). Private to this room.
 * https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/spot-instance-termination-notices.html */
#pragma once

#include "base/error.h"

struct spot;

/* Asks nothing yet. For one thread. */
struct spot *spot_new(void);
void spot_free(struct spot *spot);
DEFINE_CLEANUP(struct spot *, spot_free)
#define _cleanup_spot_ _cleanup_(spot_free_cleanup)
/* Asks once; at most two seconds. True: this machine is to be taken away; `action` is "terminate", "stop" or
 * "hibernate". Honours AWS_EC2_METADATA_DISABLED and AWS_EC2_METADATA_SERVICE_ENDPOINT. */
bool spot_noticed(struct spot *spot, char action[32]);
/* No answer came to several first questions, or asking is disabled: this is no such machine. */
bool spot_is_absent(const struct spot *spot);
/* Reads a notice, {"action":"terminate","time":...}: true, and the action, when it is one. */
bool spot_read_notice(const char *text, size_t length, char action[32]);
