"""Pure geometry of backbones: no weights, no files."""
