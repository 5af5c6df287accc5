"""Which quantizer loses least, and what does looking for a code cost?"""
