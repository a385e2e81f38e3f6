# What systemd starts does not inherit the variables exported above.
mkdir -p /etc/systemd/system/dualsync-drain.service.d
cat >/etc/systemd/system/dualsync-drain.service.d/egress.conf <<'CONF'
[Service]
EnvironmentFile=/etc/dualsync/worker.env
CONF
if [[ -n "${HTTPS_PROXY:-}" ]]; then
  # Each agent has a file of its own for the proxy (CloudWatch User Guide, "Modify the common configuration"; Systems
  # Manager User Guide, "Configuring SSM Agent to use a proxy on Linux nodes").
  cat >"$agent/etc/common-config.toml" <<TOML
[proxy]
  https_proxy = "$HTTPS_PROXY"
  no_proxy = "$NO_PROXY"
TOML
  mkdir -p /etc/systemd/system/amazon-ssm-agent.service.d
  cat >/etc/systemd/system/amazon-ssm-agent.service.d/dualsync.conf <<CONF
[Service]
Environment="https_proxy=$HTTPS_PROXY" "no_proxy=$NO_PROXY"
CONF
  systemctl daemon-reload
  systemctl try-restart amazon-ssm-agent || echo "boot: SSM agent not restarted, so it does not use the proxy yet"
fi
