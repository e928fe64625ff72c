"""Searching better levels for a trained design, level by level."""
