"""What turns backbones into latents, and codes into backbones?"""
