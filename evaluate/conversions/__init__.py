"""Conversions: one file per family makes the files that benchmarks read from original annotations."""
