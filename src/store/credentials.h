/* Where AWS credentials come from, in this order: AWS_ACCESS_KEY_ID and its companions; web identity (an EKS
 * service account: STS AssumeRoleWithWebIdentity); the profile AWS_PROFILE in ~/.aws; the container endpoint
 * (ECS, EKS pod identity); IMDSv2. What expires is fetched anew five minutes before. For several threads at
 * once. */
#pragma once

#include "store/http.h"

struct credential_source;
/* `http` is borrowed and outlives the source. `region` is copied; STS is asked there. */
struct credential_source *credential_source_new(struct http *http, const char *region);
void credential_source_free(struct credential_source *source);

/* A copy for the caller to clear; store.credentials says what was tried. */
bool credentials_get(struct credential_source *source, struct credentials *out, struct error *err) must_check;
/* The server called these expired: the next credentials_get fetches new ones. */
void credentials_forget(struct credential_source *source, const struct credentials *expired);
