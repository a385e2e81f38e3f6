"""Configuration: options, validation, names."""
