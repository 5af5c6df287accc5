"""What does progressive quantization change in the paper's tokenizers?"""
