"""What an operator's roles must be allowed: recorded from a pair's whole life in the sandbox, written as IAM documents.

`python -m tools.iam_roles FOLDER` writes them; `docs/roles/` holds those of the project's own config.
"""
