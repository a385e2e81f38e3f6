"""Keys as operators paste them, and as terminals, pages and documents show them."""
