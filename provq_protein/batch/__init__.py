"""How are millions of structures encoded so that a run survives whatever happens to it?"""
