/* The handlers of requests. route.c says which path each answers, docs/api.md what. Each fills the request's response
 * by reply.h; false: *err is the answer. Private to this room. */
#pragma once

#include "server/request.h"

#define HANDLER(name) bool name(struct request *request, struct error *err)
/* artifacts.c */
HANDLER(campaign_file);
/* campaigns.c */
HANDLER(campaigns_list);
HANDLER(campaign_show);
HANDLER(campaign_cancel);
HANDLER(campaign_jobs);
/* events.c */
HANDLER(campaign_events);
/* jobs.c */
HANDLER(job_show);
HANDLER(job_retry);
HANDLER(dead_list);
/* monitor.c */
HANDLER(health_show);
HANDLER(ready_show);
HANDLER(metrics_show);
/* pools.c */
HANDLER(pools_list);
HANDLER(pool_desired);
HANDLER(pool_hold);
HANDLER(pool_resume);
/* submit.c */
HANDLER(submit_begin);
HANDLER(campaigns_submit);
void submit_end(struct request *request);
/* trace.c */
HANDLER(campaign_trace);
/* upload.c */
HANDLER(upload_head);
HANDLER(upload_begin);
HANDLER(upload_finish);
void upload_receive(struct request *request, const void *data, size_t length);
void upload_free(struct upload *upload);
/* workers.c */
HANDLER(workers_list);
HANDLER(workers_history);
#undef HANDLER
