"""The lifecycle of both stacks under the real engine, which attaches the sandbox's provider."""
