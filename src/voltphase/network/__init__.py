"""The diffractive optical neural network."""
