"""Other programs that copy objects."""
