/* Adding a user's own model to the zoo. */
#pragma once

#include "model/zoo.h"

/* Copies the user's file into the zoo, checks that its shapes fit `role` ("lips", "detect", "mesh", "enhance") and
 * writes its manifest. `name` is the model's: 1 to 64 of a-z 0-9 . _ - with a letter or digit first, not in the zoo
 * yet. model.invalid names the shapes that were found and those that are wanted; model.not_found: there is no such
 * file; io, model.run. A failure adds no model. */
bool model_add(struct zoo *zoo, const char *role, const char *path, const char *name, struct error *err) must_check;
