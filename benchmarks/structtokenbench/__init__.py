"""How much of a protein's function do its structure tokens keep? (not built yet)."""
