"""Kernels: how light gets from plane to plane, as data; the maps that apply them, and which one costs least."""
