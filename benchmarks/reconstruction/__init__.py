"""How well are structures reconstructed from their tokens, and where is that written down?"""
