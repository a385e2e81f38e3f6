#!/bin/bash
# Run by systemd after the worker: an unexpected end becomes a log line, which is counted.
if [[ "$SERVICE_RESULT" != success ]]; then
  printf '{"level":"CRITICAL","event":"fatal","message":"the worker ended: %s (%s %s)"}\n' \
    "$SERVICE_RESULT" "${EXIT_CODE:-}" "${EXIT_STATUS:-}"
fi
