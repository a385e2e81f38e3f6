"""The night drill: what goes wrong, what is shown, what mends it, and both sides the same at the end.

Real worker processes on a sandbox, the real command line as a process of its own, the deployed alarms judged on what
was logged. Each case has a sandbox to itself, so that it begins and ends with a pair that is well.
"""
