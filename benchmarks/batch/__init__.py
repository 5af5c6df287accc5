"""Does a run over an archive survive what happens to it, and what does that cost?"""
