"""How do token files become what language models, data set libraries and search tools read?"""
