#include "model/network.h"

#include <string.h>

#include "base/memory.h"

struct session *network_open(const struct zoo *zoo, const char *name, const char *role, const struct device *device,
                             struct binding *binding, struct error *err) {
    const json_t *manifest = zoo_manifest(zoo, name, err);
    if (!manifest)
        return NULL;
    const char *found = json_get_string(manifest, "role", "");
    if (strcmp(found, role) != 0) {
        error_set(err, ERR_MODEL_INVALID, "%s is a model for %s, not for %s", name, found, role);
        return NULL;
    }
    _cleanup_free_ char *path = zoo_file(zoo, name, err);
    _cleanup_session_ struct session *session = path ? session_open(path, device, zoo_cache(zoo), err) : NULL;
    if (!session)
        return NULL;
    struct signature signature = signature_of(session);
    if (!bind_role(role, &signature, binding, err)) {
        error_wrap(err, "%s", name);
        return NULL;
    }
    return steal(session);
}
