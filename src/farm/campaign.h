/* A campaign: what a user submits, one of the workloads: one master video and N languages of speech, or pictures from
 * prompts. Parsed from its spec, immutable afterwards. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/json.h"
#include "farm/images.h"
#include "farm/language.h"

enum workload { WORKLOAD_DUBS, WORKLOAD_IMAGES, WORKLOAD_COUNT };
enum campaign_class { CLASS_URGENT, CLASS_BATCH, CLASS_COUNT };
enum sync_mode { SYNC_CUT_OFF, SYNC_LOOP, SYNC_BOUNCE, SYNC_SILENCE };
enum speaker_kind { SPEAKER_LARGEST, SPEAKER_POINT, SPEAKER_BOX };

enum { CAMPAIGN_ID_MAX = 64, CAMPAIGN_DUBS_MAX = 200 };

/* Which face is dubbed: the largest one, or the one at a point or in a box, in fractions of the upright picture. */
struct speaker {
    enum speaker_kind kind;
    double x, y, width, height; /* 0 to 1; width and height: of a box only */
};

struct dub {
    char *language; /* BCP 47 tag as the user wrote it: "hi", "pt-BR" */
    char *audio;    /* URI */
};

#define CAMPAIGN_LIPS "lips-basic" /* the lips model when the spec names none */

struct campaign_options {
    char *lips;             /* name of a lips model */
    bool enhance;           /* sharpen the face crop with Real-ESRGAN */
    enum sync_mode sync;    /* what to do when speech and video differ in length */
    double segment_seconds; /* 1 to 60, default 10 */
    struct speaker speaker;
    int quality; /* x264 CRF, 0 to 51, default 18 */
};

/* Owns all that it points to. */
struct campaign {
    char *id;
    char *name;
    enum campaign_class class;
    int64_t deadline_ms; /* Unix time; 0: none */
    double budget_usd;   /* 0: none */
    enum workload workload;
    /* of dubs */
    char *video; /* URI of the master */
    struct dub *dubs;
    size_t dub_count;
    struct campaign_options options;
    /* of images */
    struct images images;
};

/* Reads a spec; the caller frees the campaign. All problems are appended to `problems` (a JSON array) as
 * {"path":"$.dubs[1].language","message":...}; NULL if there is any. A URI is s3://bucket/key or sha256:<64 hex> (an
 * uploaded file). `id` is the campaign's, whatever the spec says. */
struct campaign *campaign_parse(const json_t *spec, const char *id, json_t *problems) must_check;
/* The same spec with every default filled in, plus "id"; what is written to the store as spec.json. New
 * reference. */
json_t *campaign_to_json(const struct campaign *campaign);
/* What may be asked for but is hardly meant, as {"path","message"}. New array, empty for most. */
json_t *campaign_warnings(const struct campaign *campaign);
void campaign_free(struct campaign *campaign);
DEFINE_CLEANUP(struct campaign *, campaign_free)
#define _cleanup_campaign_ _cleanup_(campaign_free_cleanup)

/* An id for a new campaign: the name's letters and digits, a dash and ten digits of the SHA-256 of `seed`. The same
 * name and seed (an idempotency key) always give the same id. Caller frees. */
char *campaign_make_id(const char *name, const char *seed);
/* Lower-case letters, digits and inner dashes, at most CAMPAIGN_ID_MAX. */
bool campaign_id_is_valid(const char *id);
/* As campaign_id_is_valid; false with queue.not_found. */
bool campaign_id_check(const char *id, struct error *err) must_check;

/* "dubs", "images". */
const char *workload_name(enum workload workload);
const char *campaign_class_name(enum campaign_class class);
/* False when it is neither "urgent" nor "batch". */
bool campaign_class_parse(const char *name, enum campaign_class *out);
