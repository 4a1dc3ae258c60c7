"""What is peculiar to MileBench: its datasets, how it words and shortens prompts, and the files that its code writes."""
