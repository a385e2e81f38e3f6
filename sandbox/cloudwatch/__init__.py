"""What CloudWatch would make of a sandbox: metrics by the deployed filters, and the deployed alarms' verdicts."""
