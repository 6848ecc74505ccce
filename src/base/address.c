#include "base/address.h"

#include <string.h>

/* "host:port" or "[host]:port"; *port points into `address`. */
static bool address_split(const char *address, char host[64], const char **port) {
    const char *colon = strrchr(address, ':');
    if (!colon)
        return false;
    bool bracketed = address[0] == '[' && colon > address + 1 && colon[-1] == ']';
    size_t length = (size_t)(colon - address) - (bracketed ? 2 : 0);
    if (length == 0 || length >= 64 || colon[1] == '\0')
        return false;
    memcpy(host, address + bracketed, length);
    host[length] = '\0';
    *port = colon + 1;
    return true;
}

struct addrinfo *address_resolve(const char *address, struct error *err) {
    char host[64];
    const char *port;
    struct addrinfo hints = {.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE, .ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    if (address_split(address, host, &port) && getaddrinfo(host, port, &hints, &found) == 0)
        return found;
    error_set(err, ERR_CONFIG_INVALID, "%s is not an address to listen on, such as 127.0.0.1:8080 or [::]:8080",
              address);
    return NULL;
}
