"""How is a tokenizer trained, from files to a model folder?"""
