#include "model/enhance.h"

#include "base/memory.h"
#include "model/network.h"

struct enhance {
    struct session *session;
    struct binding binding;
    int scale;
};

struct enhance *enhance_open(const struct zoo *zoo, const char *name, const struct device *device, struct error *err) {
    _cleanup_enhance_ struct enhance *enhance = xnew(struct enhance);
    enhance->session = network_open(zoo, name, "enhance", device, &enhance->binding, err);
    if (!enhance->session)
        return NULL;
    const json_t *contract = json_object_get(zoo_manifest(zoo, name, err), "contract");
    enhance->scale = (int)json_get_integer(contract, "scale", 4);
    return steal(enhance);
}

void enhance_close(struct enhance *enhance) {
    if (enhance->session)
        session_close(enhance->session);
    free(enhance);
}

int enhance_scale(const struct enhance *enhance) { return enhance->scale; }

bool enhance_run(struct enhance *enhance, int size, const float *rgb, float *out, struct error *err) {
    int64_t large = (int64_t)size * enhance->scale;
    struct tensor input = {(float *)rgb, 4, {1, 3, size, size}}, output = {out, 4, {1, 3, large, large}};
    if (!session_run(enhance->session, &input, &output, err))
        return false;
    for (int64_t i = 0; i < 3 * large * large; i++) /* the networks overshoot at edges */
        out[i] = out[i] > 0 ? out[i] < 1 ? out[i] : 1 : 0;
    return true;
}
