"""Devices computed from their physics."""
