"""The comparisons, a module for each kind."""
