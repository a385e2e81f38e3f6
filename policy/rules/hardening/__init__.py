"""Rules about how each part is protected: transport, encryption, network, boot script, container."""
