"""Adapters, one model family per file: `describe(argument)` and `load(argument, device)`."""
