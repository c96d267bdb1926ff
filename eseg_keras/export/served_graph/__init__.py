"""The network as it is served: its layers, faster ones for some of them, label maps at the end."""
