"""The documentation, and what of it is made from the program itself (`python -m tools.docs.generate`)."""
