/* Where AWS credentials come from, in this order: AWS_ACCESS_KEY_ID and its companions; web identity (an EKS
 * service account: STS AssumeRoleWithWebIdentity); the profile AWS_PROFILE in ~/.aws; the container endpoint
 * (ECS, EKS pod identity); IMDSv2. What expires is fetched anew five minutes before. For several threads at
 * once. Internal to the room. */
#pragma once

#include "store/http.h"

struct credential_source;
/* `http` is borrowed and outlives the source. `region` is copied; STS is asked there. */
struct credential_source *credential_source_new(struct http *http, const char *region);
void credential_source_free(struct credential_source *source);

/* A copy for the caller to clear; store.credentials says what was tried. */
bool credentials_get(struct credential_source *source, struct credentials *out, struct error *err) must_check;
/* To be called when a server calls these expired: the next credentials_get fetches new ones, unless another thread has
 * fetched some since. */
void credentials_forget(struct credential_source *source, const struct credentials *expired);

/* What a provider answered: the container endpoint's and the instance's {"AccessKeyId", "SecretAccessKey", "Token",
 * "Expiration"}, and STS' XML. The caller clears *out, also after a failure. `url` is named in errors. */
bool credentials_from_json(const struct buffer *answer, const char *url, struct credentials *out,
                           struct error *err) must_check;
bool credentials_from_xml(const struct buffer *answer, const char *url, struct credentials *out,
                          struct error *err) must_check;
