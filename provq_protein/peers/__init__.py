"""How do models that others trained become model folders of this project?"""
