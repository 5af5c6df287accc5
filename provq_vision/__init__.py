"""Image tokens around the quantizer core of provq_protein (not built yet)."""
