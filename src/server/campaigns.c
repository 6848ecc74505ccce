/* Lists, shows and cancels campaigns. */
#include <string.h>

#include "base/memory.h"
#include "server/handlers.h"
#include "server/reply.h"

enum { CAMPAIGNS_USUAL = 50, CAMPAIGNS_MOST = 200, JOBS_USUAL = 200, JOBS_MOST = 1000 };

bool campaigns_list(struct request *request, struct error *err) {
    _cleanup_free_ char *cursor = NULL;
    int limit;
    if (!request_page(request, CAMPAIGNS_USUAL, CAMPAIGNS_MOST, &cursor, &limit, err))
        return false;
    struct queue *queue = request_queue(request, err);
    return queue && reply_json(request, MHD_HTTP_OK, queue_campaigns(queue, cursor, limit, err));
}

/* Whether a campaign of pictures has its sheet. */
static bool campaign_sheet_is_done(struct queue *queue, const char *id) {
    struct error none;
    _cleanup_free_ char *sheet = xasprintf("%s/sheet", id);
    _cleanup_json_ json_t *job = queue_job(queue, sheet, &none);
    return strcmp(json_get_string(job, "state", ""), "done") == 0;
}

/* Says where each finished dub, or the sheet, can be fetched. */
static void campaign_add_files(struct queue *queue, json_t *campaign, const char *id) {
    json_t *language;
    size_t i;
    json_array_foreach (json_object_get(campaign, "languages"), i, language) {
        if (strcmp(json_get_string(language, "state", ""), "done") != 0)
            continue;
        _cleanup_free_ char *path =
            xasprintf("/v1/campaigns/%s/files/%s/final.mp4", id, json_get_string(language, "language", ""));
        json_object_set_new(language, "file", json_string(path));
    }
    if (!json_object_get(campaign, "pictures"))
        return;
    _cleanup_free_ char *path = xasprintf("/v1/campaigns/%s/files/sheet.png", id);
    json_object_set_new(campaign, "sheet", campaign_sheet_is_done(queue, id) ? json_string(path) : json_null());
}

static bool campaign_answer(struct request *request, struct queue *queue, struct error *err) {
    json_t *campaign = queue_campaign(queue, request->arguments[0], err);
    if (campaign)
        campaign_add_files(queue, campaign, request->arguments[0]);
    return reply_json(request, MHD_HTTP_OK, campaign);
}

bool campaign_show(struct request *request, struct error *err) {
    struct queue *queue = request_queue(request, err);
    return queue && campaign_answer(request, queue, err);
}

/* The marker keeps `mela recover` from bringing the campaign back should Redis lose it. */
bool campaign_cancel(struct request *request, struct error *err) {
    const char *id = request->arguments[0];
    struct queue *queue = request_queue(request, err);
    if (!queue || !queue_cancel(queue, id, err))
        return false;
    _cleanup_free_ char *key = layout_cancelled(id);
    return store_put(request->api->store, key, "{}\n", 3, 0, err) && campaign_answer(request, queue, err);
}

bool campaign_jobs(struct request *request, struct error *err) {
    _cleanup_free_ char *cursor = NULL;
    int limit;
    if (!request_page(request, JOBS_USUAL, JOBS_MOST, &cursor, &limit, err))
        return false;
    struct queue *queue = request_queue(request, err);
    return queue && reply_json(request, MHD_HTTP_OK, queue_jobs(queue, request->arguments[0], cursor, limit, err));
}
