"""What does it do to ids if the chains of a complex see each other?"""
