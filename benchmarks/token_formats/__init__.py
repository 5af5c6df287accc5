"""What do the layouts of tokens cost, on disk and to read?"""
