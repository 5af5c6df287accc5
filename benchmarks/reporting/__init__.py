"""What do all benchmarks do with their numbers?"""
