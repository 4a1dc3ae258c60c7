"""Application 2: run InternVL-Chat models on benchmarks (predict), then turn their answers into numbers (score)."""
