/* Preloaded into a worker: its dubs wait at each frame that they encode while the file $HELD_DUB exists: for as long as
 * it does, or for so many milliseconds as it says. $HELD_DUB.reached is made first, so that a test can wait for a job
 * that is in work and stays so. No other kind of job encodes video. */
#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include <libavcodec/avcodec.h>

/* The milliseconds that the file says, 0 if it says none, -1 if there is no such file. */
static long read_milliseconds(const char *path) {
    FILE *file = fopen(path, "re");
    if (!file)
        return -1;
    long milliseconds = 0;
    if (fscanf(file, "%ld", &milliseconds) != 1)
        milliseconds = 0;
    fclose(file);
    return milliseconds;
}

static void mark_reached(const char *path) {
    char reached[4096];
    snprintf(reached, sizeof reached, "%s.reached", path);
    int file = open(reached, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    if (file >= 0)
        close(file);
}

static void wait_while_held(const char *path) {
    const long step = 5;
    for (long waited = 0, until; (until = read_milliseconds(path)) >= 0; waited += step) {
        mark_reached(path);
        if (until > 0 && waited >= until)
            return;
        nanosleep(&(struct timespec){.tv_nsec = step * 1000000}, NULL);
    }
}

int avcodec_send_frame(AVCodecContext *encoder, const AVFrame *frame) {
    int (*real)(AVCodecContext *, const AVFrame *) =
        (int (*)(AVCodecContext *, const AVFrame *))dlsym(RTLD_NEXT, "avcodec_send_frame");
    const char *path = getenv("HELD_DUB");
    if (path && frame && encoder->codec_type == AVMEDIA_TYPE_VIDEO)
        wait_while_held(path);
    return real(encoder, frame);
}
