"""The version of the package. setup.py reads it from the text of this file, without an import."""

__version__ = "0.2.0"
