"""Finding, fetching and reading files of data sets."""
