"""The component as a Pulumi plugin for other languages."""
