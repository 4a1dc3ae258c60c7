"""Proofs of conversions: both sides are asked the same questions."""
