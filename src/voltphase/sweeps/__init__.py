"""Running many configurations: named, resumable, shared between machines."""
