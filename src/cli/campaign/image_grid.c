#include "cli/campaign/image_grid.h"

#include <string.h>

#include "base/memory.h"

enum { LINES_MAX = 12 };
enum look { LOOK_WAITS, LOOK_FIRST_BLOCK, LOOK_LAST_BLOCK = 7, LOOK_DONE, LOOK_LOST, LOOK_COUNT };
static const char *const looks[] = {"·", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█", "x"};
_Static_assert(ARRAY_LENGTH(looks) == LOOK_COUNT, "one a look");

struct image_grid {
    struct cell {
        int pictures, steps;
        enum look look;
    } *cells;
    size_t count;
};

struct image_grid *image_grid_new(const json_t *spec) {
    _cleanup_json_ json_t *problems = json_array();
    _cleanup_campaign_ struct campaign *campaign = campaign_parse(spec, json_get_string(spec, "id", ""), problems);
    if (!campaign || campaign->workload != WORKLOAD_IMAGES)
        return NULL;
    const struct images *images = &campaign->images;
    struct image_grid *grid = xnew(struct image_grid);
    struct image_part part = {0};
    grid->cells = xnew_array(struct cell, images_job_count(images));
    for (; images_next_part(images, &part); grid->count++)
        grid->cells[grid->count] = (struct cell){part.count, images->prompts[part.prompt].steps, LOOK_WAITS};
    return grid;
}

void image_grid_free(struct image_grid *grid) {
    free(grid->cells);
    free(grid);
}

static struct cell *cell_of(const struct image_grid *grid, const struct job_id *job) {
    bool known = job->kind == KIND_IMAGE && job->index >= 0 && (size_t)job->index < grid->count;
    return known ? &grid->cells[job->index] : NULL;
}

int64_t image_grid_steps(const struct image_grid *grid, const struct job_id *job) {
    const struct cell *cell = cell_of(grid, job);
    return cell ? cell->steps : 0;
}

int64_t image_grid_all_steps(const struct image_grid *grid) {
    int64_t sum = 0;
    for (size_t i = 0; i < grid->count; i++)
        sum += grid->cells[i].steps;
    return sum;
}

void image_grid_set(struct image_grid *grid, const struct job_id *job, const char *state, int64_t steps) {
    struct cell *cell = cell_of(grid, job);
    if (!cell)
        return;
    enum { BLOCKS = LOOK_LAST_BLOCK - LOOK_FIRST_BLOCK };
    if (strcmp(state, "done") == 0)
        cell->look = LOOK_DONE;
    else if (strcmp(state, "dead") == 0 || strcmp(state, "cancelled") == 0)
        cell->look = LOOK_LOST;
    else if (strcmp(state, "leased") == 0)
        cell->look = (enum look)(LOOK_FIRST_BLOCK + CLAMP(steps * BLOCKS / cell->steps, 0, BLOCKS));
    else
        cell->look = LOOK_WAITS;
}

void image_grid_describe(const struct image_grid *grid, struct buffer *out) {
    int64_t done = 0, all = 0;
    for (size_t i = 0; i < grid->count; i++) {
        all += grid->cells[i].pictures;
        done += grid->cells[i].look == LOOK_DONE ? grid->cells[i].pictures : 0;
    }
    buffer_appendf(out, "%lld/%lld pictures", (long long)done, (long long)all);
}

int image_grid_draw(const struct image_grid *grid, int width, struct buffer *out) {
    int lines = (int)((grid->count + (size_t)width - 1) / (size_t)width);
    if (lines > LINES_MAX)
        return 0;
    for (size_t i = 0; i < grid->count; i++) {
        buffer_append_text(out, i % (size_t)width == 0 ? "\033[K" : "");
        buffer_append_text(out, looks[grid->cells[i].look]);
        buffer_append_text(out, (i + 1) % (size_t)width == 0 || i + 1 == grid->count ? "\n" : "");
    }
    return lines;
}
