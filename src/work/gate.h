/* The gate lets one job of a device at a time run its networks, while another decodes in front of it and a third
 * encodes its end behind it. A job without networks does not enter. Whoever runs jobs says how it is done; a job that
 * has its device alone needs none. */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>

struct gate {
    /* Waits until nobody is inside, and enters. False, within a tenth of a second, when `cancel` is or becomes true
     * first. */
    bool (*enter)(void *context, const atomic_bool *cancel);
    /* By the one inside. */
    void (*leave)(void *context);
    void *context;
};
