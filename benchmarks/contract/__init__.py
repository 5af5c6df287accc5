"""Does every sentence of the residue contract have a test, and does the reader keep it?"""
