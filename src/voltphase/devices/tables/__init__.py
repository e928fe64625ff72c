"""Reading and writing measured tables."""
