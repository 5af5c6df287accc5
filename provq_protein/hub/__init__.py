"""How do models come from the Hugging Face Hub, and how are they published there?"""
