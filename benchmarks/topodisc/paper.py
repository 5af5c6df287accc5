"""What does the paper state about TopoDisc?

Zhao et al., "Mitigating Premature Discretization with Progressive Quantization for Robust Vector
Tokenization" (ProVQ), arXiv:2603.22304, section 3 and Figure 2.
"""

# Mean squared error by row and part.
ERRORS = {("vanilla", "disk"): 0.0116, ("vanilla", "triangle"): 0.0173}
# Improvement over vanilla in percent. For the disk under ProVQ the text gives no number.
IMPROVEMENTS = {
    ("soft", "disk"): 11.9,
    ("soft", "triangle"): 30.7,
    ("soft_kmeans", "disk"): 11.9,
    ("soft_kmeans", "triangle"): 30.7,
    ("provq", "triangle"): 33.1,
}
