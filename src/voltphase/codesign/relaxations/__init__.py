"""Differentiable stand-ins for picking one state per pixel."""
