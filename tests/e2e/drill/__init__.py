"""The failure drill: inject a fault, check status and alarms, apply the documented remedy, compare both sides.

Each case has a sandbox of its own with real worker processes. The command line runs as a process of its own, and the
deployed alarms are evaluated on what the workers logged. A case starts and ends with a healthy pair.
"""
