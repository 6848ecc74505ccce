/* Preloaded into a worker: its dubs wait at each frame that they encode while they are held: as long as that lasts, or
 * for so many milliseconds. What is wanted stands in the file <this library's own path>.control, three 32-bit numbers:
 * held, milliseconds (0: no limit), and "a dub is waiting", which is set here. It is mapped when the program starts,
 * because an executor opens no files of others later. No other kind of job encodes video. */
#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <libavcodec/avcodec.h>

struct control {
    volatile int held, milliseconds, reached;
};
static struct control *control;

__attribute__((constructor)) static void map_control(void) {
    Dl_info self;
    char path[4096];
    if (!dladdr((void *)&control, &self))
        return;
    snprintf(path, sizeof path, "%s.control", self.dli_fname);
    int file = open(path, O_RDWR | O_CLOEXEC);
    void *mapped = file < 0 ? MAP_FAILED : mmap(NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    control = mapped == MAP_FAILED ? NULL : mapped;
    if (file >= 0)
        close(file);
}

static void wait_while_held(void) {
    const int step = 5;
    for (int waited = 0; control->held; waited += step) {
        control->reached = 1;
        if (control->milliseconds > 0 && waited >= control->milliseconds)
            return;
        nanosleep(&(struct timespec){.tv_nsec = step * 1000000}, NULL);
    }
}

int avcodec_send_frame(AVCodecContext *encoder, const AVFrame *frame) {
    int (*real)(AVCodecContext *, const AVFrame *) =
        (int (*)(AVCodecContext *, const AVFrame *))dlsym(RTLD_NEXT, "avcodec_send_frame");
    if (control && frame && encoder->codec_type == AVMEDIA_TYPE_VIDEO)
        wait_while_held();
    return real(encoder, frame);
}
