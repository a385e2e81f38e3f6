"""CloudWatch, emulated: metrics from the deployed filters, and the states of the deployed alarms."""
