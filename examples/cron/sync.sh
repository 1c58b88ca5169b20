#!/bin/sh
# Applies what has changed since the last run, for at most 50 seconds. The first run copies the tables. Started again while it still
# runs, it leaves that alone.
set -eu
exec 9>"${LOCK_FILE:-/tmp/surreal-sync.lock}"
if command -v flock >/dev/null; then flock -n 9 || exit 0; fi
exec surreal-sync sync postgresql \
  --to-namespace "${TO_NAMESPACE:-production}" \
  --to-database "${TO_DATABASE:-migrated_data}" \
  --checkpoint-dir "${CHECKPOINTS:-/var/lib/surreal-sync}" \
  --timeout "${TIMEOUT:-50s}" \
  --quiet
