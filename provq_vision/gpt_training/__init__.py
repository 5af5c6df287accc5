"""How does an autoregressive model learn the tokens of images?"""
