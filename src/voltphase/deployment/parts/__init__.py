"""Parts of the manifest: what it says of one thing each."""
