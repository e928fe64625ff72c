"""Additions to voltphase that a maker of mirrors might publish."""
