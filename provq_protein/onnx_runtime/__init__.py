"""How are structures encoded where torch is not loaded?"""
