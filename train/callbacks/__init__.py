"""Callbacks: concerns of a run that are not the model's, one per file."""
