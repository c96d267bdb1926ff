"""Export to SavedModel, for TF Serving."""
