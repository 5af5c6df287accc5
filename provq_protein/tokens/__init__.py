"""The tokens of protein chains, with their residue mapping, and the files that hold them."""
