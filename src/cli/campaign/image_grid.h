/* How far the jobs of a campaign of pictures are: numbers, and a character for each job. */
#pragma once

#include "base/buffer.h"
#include "farm/farm.h"

struct image_grid;

/* Of the campaign's spec; NULL when it is none of pictures. */
struct image_grid *image_grid_new(const json_t *spec);
void image_grid_free(struct image_grid *grid);

/* Steps of a handful, all of its pictures at a time; 0 for a job that is none. */
int64_t image_grid_steps(const struct image_grid *grid, const struct job_id *job);
int64_t image_grid_all_steps(const struct image_grid *grid);
/* Notes what is known of a job: its state, and of how many of its steps are done when it is leased. */
void image_grid_set(struct image_grid *grid, const struct job_id *job, const char *state, int64_t steps);
/* Appends "12/24 pictures". */
void image_grid_describe(const struct image_grid *grid, struct buffer *out);
/* Appends lines of `width` columns, a character a job: a dot waits, a rising block is drawn, a full one is done, x will
 * not come. Answers how many lines; 0, and nothing, where there would be too many. */
int image_grid_draw(const struct image_grid *grid, int width, struct buffer *out);
