"""Comparisons of whole networks: several wavelengths, partly coherent light, relays."""
