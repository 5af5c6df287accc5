"""What limits a model: its encoder and decoder, its codes, or the rate?"""
