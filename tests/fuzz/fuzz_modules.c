/* Any bytes as an exported network: refused, or each of its modules is as large as its weight, which can be read. */
#include "fuzz.h"
#include "model/modules.h"

enum { READ_MOST = 1 << 20 };

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length) {
    struct error err;
    _cleanup_modules_ struct modules *modules = modules_open(fuzz_file(bytes, length), "unet", &err);
    if (!modules)
        return 0;
    ensure(modules_sum(modules).bytes >= 0 && modules_sum(modules).numbers >= 0);
    for (size_t i = 0; i < modules_count(modules); i++) {
        const struct module *module = modules_get(modules, i);
        ensure(strncmp(module->name, "unet.", 5) == 0 && module->rows > 0 && module->columns > 0);
        if (module_bytes(module) > READ_MOST)
            continue;
        _cleanup_free_ char *weight = xcalloc(module_bytes(module), 1);
        if (!modules_read(modules, i, weight, &err))
            ensure(modules_file(modules, 0)); /* what lies inside the file is there */
    }
    return 0;
}
