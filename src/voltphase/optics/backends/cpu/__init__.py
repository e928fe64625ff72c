"""The blocked machine for CPUs: micro-batches that stay in the caches."""
