"""The layout of transformers' own class: configuration, files beside the weights, and what it cannot hold."""
