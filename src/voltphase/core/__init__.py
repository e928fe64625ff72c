"""What every other package builds on: errors, files, checks, units, registries."""
