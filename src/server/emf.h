/* The farm's figures for CloudWatch, as lines of the embedded metric format on stdout. Private to this room. */
#pragma once

/* Writes them now and then once in the server's emf_period_ms, until it stops; while Redis is away only that it is, and
 * that this server lives. docs/metrics.md lists the names. */
void *emf_thread(void *server);
