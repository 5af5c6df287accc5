"""How do image files become batches of pixels?"""
