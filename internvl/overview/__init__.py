"""What a folder of weights is, as a page."""
