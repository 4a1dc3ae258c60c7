"""One file per family of benchmarks; each ends with its list BENCHMARKS."""
