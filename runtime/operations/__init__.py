"""What an operator can do, over typed interfaces. `dualsync.runtime.commands` prints it. Never runs on a worker."""
