"""The network as it is served, with some layers replaced by faster ones."""
