/* The files ~/.aws/config and ~/.aws/credentials. Internal to the room. */
#pragma once

/* A setting of the profile AWS_PROFILE (or "default"), looked up in the credentials, then in the config
 * (AWS_SHARED_CREDENTIALS_FILE, AWS_CONFIG_FILE); NULL when neither has it. Caller frees. */
char *profile_get(const char *setting);
