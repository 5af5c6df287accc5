"""What are the codes of a set of images, which a sequence model learns, and where are they kept?"""
