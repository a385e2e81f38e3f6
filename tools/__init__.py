"""What maintainers run: generators of IAM documents and documentation pages, and the prose check."""
