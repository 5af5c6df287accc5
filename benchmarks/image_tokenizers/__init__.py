"""What does progressive quantization change in small image tokenizers?"""
