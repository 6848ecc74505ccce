#include "executor/wire.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "base/memory.h"

enum { HEAD = 4, READ_AT_ONCE = 64 << 10 };

void wire_close(struct wire *wire) {
    if (wire->socket >= 0)
        close(wire->socket);
    buffer_free(&wire->in);
    buffer_free(&wire->out);
    *wire = (struct wire){.socket = -1, .ended = true};
}

static void buffer_drop(struct buffer *buffer, size_t length) {
    memmove(buffer->data, buffer->data + length, buffer->length - length);
    buffer->length -= length;
}

bool wire_flush(struct wire *wire, struct error *err) {
    size_t sent = 0;
    while (sent < wire->out.length && !wire->ended) {
        ssize_t now = send(wire->socket, wire->out.data + sent, wire->out.length - sent, MSG_NOSIGNAL);
        if (now >= 0)
            sent += (size_t)now;
        else if (errno == EAGAIN || errno == EWOULDBLOCK)
            break;
        else
            wire->ended = errno != EINTR;
    }
    if (sent > 0)
        buffer_drop(&wire->out, sent);
    return !wire->ended || error_set(err, ERR_IO, "the other end of the wire is gone");
}

bool wire_send(struct wire *wire, const json_t *message, struct error *err) {
    _cleanup_free_ char *text = json_line(message);
    size_t length = strlen(text);
    const unsigned char head[HEAD] = {(unsigned char)(length >> 24), (unsigned char)(length >> 16),
                                      (unsigned char)(length >> 8), (unsigned char)length};
    buffer_append(&wire->out, head, HEAD);
    buffer_append(&wire->out, text, length);
    return wire_flush(wire, err);
}

bool wire_read(struct wire *wire) {
    buffer_reserve(&wire->in, READ_AT_ONCE);
    ssize_t got = recv(wire->socket, wire->in.data + wire->in.length, READ_AT_ONCE, 0);
    if (got > 0)
        wire->in.length += (size_t)got;
    return got > 0 || (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR));
}

bool wire_next(struct wire *wire, json_t **message, struct error *err) {
    *message = NULL;
    if (wire->in.length < HEAD)
        return true;
    const unsigned char *head = (const unsigned char *)wire->in.data;
    size_t length = (size_t)head[0] << 24 | (size_t)head[1] << 16 | (size_t)head[2] << 8 | head[3];
    if (length > wire->longest)
        return error_set(err, ERR_INTERNAL, "a message of %zu bytes is longer than %zu", length, wire->longest);
    if (wire->in.length < HEAD + length)
        return true;
    struct error why;
    *message = json_parse(wire->in.data + HEAD, length, &why);
    buffer_drop(&wire->in, HEAD + length);
    if (json_is_object(*message))
        return true;
    json_decref(*message);
    *message = NULL;
    return error_set(err, ERR_INTERNAL, "a message is no JSON object");
}
