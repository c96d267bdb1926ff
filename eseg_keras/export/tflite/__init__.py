"""Export to TFLite, for LiteRT."""
