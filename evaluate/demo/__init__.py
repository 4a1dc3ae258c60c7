"""Demonstration data: a small generated set of every benchmark in the layout that its authors publish."""
