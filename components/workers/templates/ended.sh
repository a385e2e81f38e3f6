#!/bin/bash
# Run by systemd after the worker: an end that nobody asked for becomes a line that is counted and told.
if [[ "$SERVICE_RESULT" != success ]]; then
  printf '{"level":"CRITICAL","event":"fatal","message":"the worker ended: %s (%s %s)"}\n' \
    "$SERVICE_RESULT" "${EXIT_CODE:-}" "${EXIT_STATUS:-}"
fi
