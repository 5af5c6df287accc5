"""Where do labelled chains come from: one module per kind of file."""
