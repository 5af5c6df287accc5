"""How do the pages of ``report`` and ``codebook`` look in a browser?"""
