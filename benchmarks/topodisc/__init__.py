"""What does progressive quantization change on a disk and a triangle (TopoDisc)?"""
