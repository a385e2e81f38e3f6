"""Generators of the documentation: blocks of pages, diagrams, the cost estimate, hooks of the site."""
