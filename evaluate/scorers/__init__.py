"""One scoring rule per file: a pure function on one answer, and the scorer that averages it."""
