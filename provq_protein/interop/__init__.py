"""How do chains and their tokens become objects of other libraries?"""
