"""What do progressively quantized tokens change for a model that draws images?"""
