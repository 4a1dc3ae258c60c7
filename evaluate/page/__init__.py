"""The page of a report: samples and pictures of every benchmark in one HTML file that needs nothing else."""
