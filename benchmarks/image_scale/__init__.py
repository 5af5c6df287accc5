"""What do the paper's experiments on images cost?"""
