"""What arrives in the queue, decoded and authenticated."""
