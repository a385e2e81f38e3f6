"""The rights of the roles that deploy and operate a pair, recorded from its whole life in the sandbox.

`python -m tools.iam_roles FOLDER` writes the IAM documents; `docs/roles/` holds those of the project's own config.
"""
