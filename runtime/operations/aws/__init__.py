"""An operator's own ways to AWS, with one profile an account; `runtime/edges` serves here, too."""
