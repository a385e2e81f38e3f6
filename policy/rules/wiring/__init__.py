"""Rules about how the parts of a pair fit together: users, keys, events, settings."""
