"""What an operator can do, over typed interfaces: `runtime.commands` puts words to it. Never runs on a worker."""
