/* The stages themselves, and what several of them do alike. Private to this room. */
#pragma once

#include "stage/stage.h"
#include "stage/steps.h"

bool stage_plan(const struct stage_context *context, struct step_times *times, struct stage_result *result,
                struct error *err) must_check;
bool stage_track(const struct stage_context *context, struct step_times *times, struct stage_result *result,
                 struct error *err) must_check;
bool stage_dub(const struct stage_context *context, struct step_times *times, struct stage_result *result,
               struct error *err) must_check;
bool stage_join(const struct stage_context *context, struct step_times *times, struct stage_result *result,
                struct error *err) must_check;

/* Fetches a spec's URI, timed. */
struct cache_entry *work_fetch(const struct stage_context *context, struct step_times *times, const char *uri,
                               struct error *err) must_check;
/* Uploads the local file as the job's artifact, timed, and notes bytes and sha256 in the report. */
bool work_upload(const struct stage_context *context, struct step_times *times, const char *path, json_t *report,
                 struct error *err) must_check;
/* A path in the scratch directory; caller frees. */
char *work_path(const struct stage_context *context, const char *name);
/* Opens the master, timed as fetch and decode; *entry holds its bytes. */
struct video_reader *work_open_master(const struct stage_context *context, struct step_times *times,
                                      struct cache_entry **entry, struct error *err) must_check;

/* Waits for the process's turn to compute; `cancelled` when told to stop first. */
bool work_enter(const struct stage_context *context, struct step_times *times, struct error *err) must_check;
void work_leave(const struct stage_context *context, struct step_times *times);

/* The networks of a struct models, and what they run on. */
bool models_are_on_card(const struct models *models);
struct detector *models_detector(struct models *models);
struct mesh *models_mesh(struct models *models);
struct enhance *models_enhance(struct models *models, struct error *err) must_check;
