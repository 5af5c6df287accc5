"""What does the paper state about the same rows?

Zhao et al., "Mitigating Premature Discretization with Progressive Quantization for Robust Vector
Tokenization" (ProVQ), arXiv:2603.22304, Tables 1, 5 and 6. Tables 5 and 6 are of ImageNet-100 at
256 pixels, Table 1 is of ImageNet-1K; codebooks have 16,384 codes of 8 dimensions. Each number is
of one training.
"""

IDENTIFIER = "arXiv:2603.22304"
CODES = 16384
# Of ImageNet-100; the number of its training images is that of the usual list of classes.
EPOCHS, IMAGES = 200, 126_689
# Table 5: rFID, PSNR in decibels, SSIM, perplexity by row. The warm-up is the one called best.
TABLE_5 = {
    "simvq": {"rfid": 4.08, "psnr": 20.33, "ssim": 0.614, "perplexity": 8157.35},
    "simvq_soft": {"rfid": 3.39, "psnr": 20.53, "ssim": 0.628, "perplexity": 8171.83},
    "vanilla": {"rfid": 3.81, "psnr": 20.64, "ssim": 0.629, "perplexity": 7123.79},
    "vanilla_soft": {"rfid": 3.49, "psnr": 20.45, "ssim": 0.624, "perplexity": 8530.51},
    "vanilla_warmup": {"rfid": 3.66, "psnr": 20.62, "ssim": 0.636, "perplexity": 8442.90},
    "vanilla_provq": {"rfid": 3.33, "psnr": 20.75, "ssim": 0.640, "perplexity": 8519.23},
}
# Table 6: the row of Table 5 once more, and with the other scheduler.
TABLE_6 = {
    "vanilla_provq": {"rfid": 3.23, "psnr": 20.48, "ssim": 0.627, "perplexity": 8518.33},
    "vanilla_provq_hard": {"rfid": 3.40, "psnr": 20.49, "ssim": 0.633, "perplexity": 8532.74},
}
# Table 1, at 16 x 16 tokens: mean Euclidean distance of codes.
DISTANCES = {"vanilla_l2": 1.42, "vanilla_provq": 6.49}
