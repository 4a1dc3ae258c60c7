"""What is peculiar to MileBench: its datasets, how prompts are worded and shortened, and the files that it writes."""
