"""What does the paper state about models that draw images?

Zhao et al., "Mitigating Premature Discretization with Progressive Quantization for Robust Vector
Tokenization" (ProVQ), arXiv:2603.22304, Table 2: ImageNet-1K at 256 pixels, 50,000 samples,
Inception features. The rows without ProVQ are LlamaGen's published ones (arXiv:2406.06525). Each
number is of one training; the paper names no scale of guidance.
"""

IDENTIFIER = "arXiv:2603.22304"
# Model, tokenizer, parameters in millions, gFID, inception score, precision, recall.
TABLE_2 = (
    ("LlamaGen-B", "LlamaGen", 111, 5.46, 193.61, 0.83, 0.45),
    ("LlamaGen-B", "ProVQ", 111, 4.99, 190.30, 0.84, 0.46),
    ("LlamaGen-L", "LlamaGen", 343, 3.80, 248.28, 0.83, 0.51),
    ("LlamaGen-L", "ProVQ", 343, 3.15, 235.51, 0.82, 0.54),
)
SAMPLES = 50_000
EPOCHS = 300
