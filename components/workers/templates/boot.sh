#!/bin/bash
# Boot of a worker. Runs once as user data; running it again adds what is missing and changes nothing else.
# A step that fails is logged with its line to the console and the log group, then the machine ends itself and the
# group starts another.
set -Eeuo pipefail
umask 022

readonly region='@REGION@'
readonly bucket='@BUNDLE_BUCKET@'
readonly key='@BUNDLE_KEY@'
readonly version='@BUNDLE_VERSION@'
readonly sha256='@BUNDLE_SHA256@'
readonly log_group='@LOG_GROUP@'
readonly group='@GROUP@'
readonly hook='@HOOK@'
readonly root=/opt/dualsync
readonly log=/var/log/dualsync
readonly agent=/opt/aws/amazon-cloudwatch-agent
export AWS_DEFAULT_REGION="$region" AWS_RETRY_MODE=standard AWS_MAX_ATTEMPTS=5@EGRESS@

mkdir -p "$root" "$log" /etc/dualsync
exec > >(tee -a "$log/boot.log" >/dev/console) 2>&1

imds() {
  local token
  token=$(curl -sf -m 5 --retry 3 -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 300' \
    http://169.254.169.254/latest/api/token)
  curl -sf -m 5 --retry 3 -H "X-aws-ec2-metadata-token: $token" "http://169.254.169.254/latest/meta-data/$1"
}

failed() {
  trap - ERR
  set +e
  local code=$1 line=$2 command=$3 stream events
  stream="$(imds instance-id)/boot"
  # The agent may not run yet, so the line goes straight to the log group. The system's own Python is always there.
  events=$(/usr/bin/python3 -c '
import json, sys, time
code, line, command = sys.argv[1:]
text = f"boot failed at line {line} with exit code {code}: {command}"
event = json.dumps({"level": "CRITICAL", "event": "fatal", "message": text})
print(event, file=sys.stderr)
print(json.dumps([{"timestamp": int(time.time() * 1000), "message": event}]))
' "$code" "$line" "$command")
  aws logs create-log-stream --log-group-name "$log_group" --log-stream-name "$stream"
  aws logs put-log-events --log-group-name "$log_group" --log-stream-name "$stream" --log-events "$events"
  # A minute's pause: time to look, and no storm of instances when every boot fails.
  sleep 60
  shutdown -h now
  exit "$code"
}
trap 'failed $? $LINENO "$BASH_COMMAND"' ERR

echo "boot: started after $(cut -d' ' -f1 /proc/uptime) s"

# A round trip between the partitions takes 250 ms: at that distance the default buffers allow a few MB/s, and every
# lost packet makes CUBIC halve its pace. BBR paces by what the path carries. Slower is better than not at all.
echo tcp_bbr >/etc/modules-load.d/dualsync.conf
cat >/etc/sysctl.d/90-dualsync.conf <<'SYSCTL'
net.core.default_qdisc = fq
net.ipv4.tcp_congestion_control = bbr
net.core.rmem_max = 16777216
net.core.wmem_max = 16777216
net.ipv4.tcp_rmem = 4096 131072 16777216
net.ipv4.tcp_wmem = 4096 65536 16777216
net.ipv4.tcp_slow_start_after_idle = 0
net.ipv4.tcp_mtu_probing = 1
SYSCTL
if ! { modprobe tcp_bbr && sysctl -q -p /etc/sysctl.d/90-dualsync.conf; }; then
  echo "boot: BBR and socket buffers not set, continuing without"
fi

# The bundle comes while packages install: both wait for the network.
readonly release="$root/$sha256"
fetch() {
  if [[ ! -d "$release" ]]; then
    aws s3api get-object --bucket "$bucket" --key "$key" ${version:+--version-id "$version"} "$release.tar" >/dev/null
    echo "$sha256  $release.tar" | sha256sum --check --quiet
    rm -rf "$release.new"
    mkdir -p "$release.new"
    tar -xf "$release.tar" -C "$release.new" --no-same-owner
    rm "$release.tar"
    mv "$release.new" "$release"
  fi
}
(
  trap - ERR
  fetch
) &
fetching=$!

missing=()
for package in python3.11 amazon-cloudwatch-agent logrotate; do
  rpm -q --quiet "$package" || missing+=("$package")
done
if [[ ${#missing[@]} -gt 0 ]]; then
  dnf install -y -q --setopt=install_weak_deps=False "${missing[@]}"
fi
wait "$fetching"
ln -sfn "$release" "$root/current"

id dualsync >/dev/null 2>&1 || useradd --system --no-create-home --shell /sbin/nologin dualsync

cat >/etc/dualsync/worker.env <<'ENVIRONMENT'
@ENVIRONMENT@
ENVIRONMENT

cat >/etc/logrotate.d/dualsync <<'LOGROTATE'
/var/log/dualsync/*.log {
  size 64M
  rotate 2
  copytruncate
  missingok
}
LOGROTATE
mkdir -p /etc/systemd/system/logrotate.timer.d
cat >/etc/systemd/system/logrotate.timer.d/dualsync.conf <<'TIMER'
[Timer]
OnCalendar=
OnCalendar=*:0/10
AccuracySec=1m
TIMER

cat >"$agent/etc/dualsync.json" <<'AGENT'
@AGENT@
AGENT

cat >/etc/systemd/system/dualsync-worker.service <<'UNIT'
@WORKER_UNIT@
UNIT

cat >"$root/drain" <<'DRAIN'
@DRAIN@
DRAIN
cat >"$root/ended" <<'ENDED'
@ENDED@
ENDED
chmod 0755 "$root/drain" "$root/ended"@EGRESS_UNITS@
cat >/etc/systemd/system/dualsync-drain.service <<UNIT
[Unit]
Description=Drains the dualsync worker before the group or EC2 takes this machine away
After=network-online.target

[Service]
ExecStart=$root/drain $region $group $hook
Restart=always
RestartSec=5
StandardOutput=append:$log/worker.log
StandardError=inherit

[Install]
WantedBy=multi-user.target
UNIT

systemctl daemon-reload
systemctl enable --now logrotate.timer
systemctl restart logrotate.timer
"$agent/bin/amazon-cloudwatch-agent-ctl" -a fetch-config -m ec2 -s -c "file:$agent/etc/dualsync.json"
systemctl enable dualsync-worker dualsync-drain
systemctl restart dualsync-worker dualsync-drain
echo "boot: worker started after $(cut -d' ' -f1 /proc/uptime) s"
