"""Rules about who may do what: identities, their policies, and the policies of resources."""
