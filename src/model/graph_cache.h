/* Inside the model room only: optimised graphs on disk. A file is <key>.<sha256 of its bytes>.onnx, so that a damaged
 * one is recognised. Several processes may share the folder: files appear by rename, whole. */
#pragma once

#include "model/device.h"

/* Names the graph that this ONNX Runtime makes of the file at `path` on this kind of device and CPU: 32 hex digits. io.
 */
bool graph_cache_key(const char *path, const struct device *device, char key[33], struct error *err) must_check;
/* Path of the whole, undamaged graph; NULL when there is none. A damaged one is removed. Caller frees. */
char *graph_cache_find(const char *directory, const char *key);
/* Moves the graph that was written to `temporary` to its place; where there is one already, that one stays. `temporary`
 * is gone afterwards, whatever happens. io. */
bool graph_cache_publish(const char *directory, const char *key, const char *temporary, struct error *err) must_check;
