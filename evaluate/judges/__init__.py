"""Judges: models behind servers that are asked what answers are worth, their stored replies, and what they cost."""
