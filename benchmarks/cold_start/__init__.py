"""How long does it take until the first file is encoded, with and without torch?"""
