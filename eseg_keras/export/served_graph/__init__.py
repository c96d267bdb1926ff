"""Build the exported network: some layers are replaced by faster ones."""
