"""How is an image tokenizer trained?"""
