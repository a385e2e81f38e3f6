"""Identity without a long-lived key: the role that the peer assumes, and the issuer of the tokens for it."""
