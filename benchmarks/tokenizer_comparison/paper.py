"""What has been published about the same four tokenizers?

Zhao et al., "Mitigating Premature Discretization with Progressive Quantization for Robust Vector
Tokenization" (ProVQ), arXiv:2603.22304, Table 4. The models are those of the paper's size (139
million parameters, 512 codes of 1,024 dimensions), trained on other chains and for longer; usage is
a mean over batches, of a size that the paper does not state.
"""

# Of a code.
DIMENSION = 1024
# Utilization in percent, and normalized perplexity, by variant and set.
USAGE = {
    ("vanilla_vq", "casp14"): (5.55, 0.0339),
    ("vanilla_vq", "cameo2022"): (5.60, 0.0337),
    ("vanilla_vq_provq", "casp14"): (41.40, 0.2985),
    ("vanilla_vq_provq", "cameo2022"): (43.19, 0.3006),
    ("aminoaseed", "casp14"): (64.45, 0.4946),
    ("aminoaseed", "cameo2022"): (68.87, 0.5119),
    ("aminoaseed_provq", "casp14"): (78.36, 0.6021),
    ("aminoaseed_provq", "cameo2022"): (85.36, 0.6276),
}
# Mean Euclidean distance of raw codes, over the whole matrix with its zero diagonal.
DISTANCES = {
    "vanilla_vq": 46.80,
    "vanilla_vq_provq": 69.68,
    "aminoaseed": 42.71,
    "aminoaseed_provq": 43.67,
}
# AminoAseed as published, reconstructed by others (GCP-VQVAE, Table 2): set, RMSD in Angstrom,
# TM-score.
RECONSTRUCTION = ("CASP14", 14.67, 0.395)
