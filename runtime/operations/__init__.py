"""What an operator can do, over typed interfaces: `dualsync.runtime.commands` puts words to it. Never runs on a
worker."""
