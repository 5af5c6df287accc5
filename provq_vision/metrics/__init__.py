"""How good are reconstructed images, and how well are the codes used?"""
