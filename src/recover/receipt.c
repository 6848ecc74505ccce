#include "recover/receipt.h"

#include <string.h>

#include "base/memory.h"

enum { RECEIPT_MAX = 64 << 20 }; /* bytes: a join's report lists its parts */

void receipt_clear(struct receipt *receipt) {
    free(receipt->artifact);
    json_decref(receipt->report);
    *receipt = (struct receipt){0};
}

/* False, with *err, only when the store failed. */
static bool artifact_exists(struct store *store, const char *key, bool *exists, struct error *err) {
    struct store_stat stat;
    *exists = key[0] && store_head(store, key, &stat, err);
    return *exists || !key[0] || err->code == ERR_STORE_NOT_FOUND;
}

bool receipt_read(struct store *store, const struct job_id *job, struct receipt *out, bool *found, struct error *err) {
    _cleanup_free_ char *key = layout_receipt(job);
    _cleanup_buffer_ struct buffer text = {0};
    struct error why;
    *found = false;
    if (!store_get(store, key, RECEIPT_MAX, &text, err))
        return err->code == ERR_STORE_NOT_FOUND;
    _cleanup_json_ json_t *json = json_parse(text.data, text.length, &why);
    const char *artifact = json_get_string(json, "artifact", "");
    if (!artifact_exists(store, artifact, found, err))
        return false;
    if (*found)
        *out = (struct receipt){xstrdup(artifact), json_incref(json_object_get(json, "report"))};
    return true;
}

static char *receipt_text(const struct claim *claim, const char *worker, const struct receipt *receipt) {
    _cleanup_json_ json_t *json =
        json_pack("{s:s, s:s, s:i, s:s, s:O*}", "job", claim->job_id, "artifact", receipt->artifact, "attempt",
                  claim->attempt, "worker", worker, "report", receipt->report);
    return json_line(json);
}

bool receipt_settle(struct store *store, const struct claim *claim, const char *worker, struct receipt *receipt,
                    struct error *err) {
    _cleanup_free_ char *key = layout_receipt(&claim->job), *text = receipt_text(claim, worker, receipt);
    struct receipt other;
    bool found;
    if (store_put(store, key, text, strlen(text), STORE_IF_ABSENT, err))
        return true;
    if (err->code != ERR_STORE_EXISTS || !receipt_read(store, &claim->job, &other, &found, err))
        return false;
    if (!found)
        return store_put(store, key, text, strlen(text), 0, err);
    receipt_clear(receipt);
    *receipt = other;
    return true;
}
