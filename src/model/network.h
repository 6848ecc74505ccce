/* Inside the model room only: a model of the zoo, loaded for its role. */
#pragma once

#include "model/bind.h"
#include "model/zoo.h"

/* Opens the model `name` on `device` and binds it to `role`, which must be the one its manifest says. The caller closes
 * the session. model.not_found, model.hash_mismatch, model.device, model.run; model.invalid for another role or shapes
 * that do not fit. */
struct session *network_open(const struct zoo *zoo, const char *name, const char *role, const struct device *device,
                             struct binding *binding, struct error *err) must_check;
