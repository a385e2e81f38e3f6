#!/bin/bash
# Watches the instance's metadata for the group's scale-in and for EC2's spot notice; then stops the worker, which
# finishes what it has in hand, and lets the group continue. Nothing else would stop the worker in time. What a spot
# notice's two minutes are too short for comes back to the queue when its visibility ends.
set -uo pipefail
region=$1 group=$2 hook=$3
base=http://169.254.169.254/latest

new_token() { curl -sf -m 5 -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 21600' "$base/api/token"; }
imds() { curl -sf -m 5 -H "X-aws-ec2-metadata-token: $token" "$base/meta-data/$1"; }

token=$(new_token)
while state=$(imds autoscaling/target-lifecycle-state); [[ "$state" != Terminated ]]; do
  # Always answered in a group, so nothing means that the token's six hours are over.
  [[ -n "$state" ]] || token=$(new_token)
  if imds spot/instance-action >/dev/null; then break; fi
  # Every five seconds, as EC2 recommends for its notice of two minutes (EC2 guide: Spot Instance interruption notices).
  sleep 5
done

echo '{"level":"INFO","event":"state","state":"DRAINING","message":"this instance is being taken away"}'
systemctl stop dualsync-worker
# The token may have run out meanwhile, and without the id the group waits for its whole patience.
token=$(new_token)
aws autoscaling complete-lifecycle-action --region "$region" --auto-scaling-group-name "$group" \
  --lifecycle-hook-name "$hook" --lifecycle-action-result CONTINUE --instance-id "$(imds instance-id)"
# The machine ends any moment now; ending first would only have this started again.
sleep infinity
