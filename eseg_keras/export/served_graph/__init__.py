"""The exported network, with some layers replaced by faster ones."""
