"""How do structures become tokens, for every tokenizer and control that the benchmark knows?"""

from structtokenbench.tokenizers.catalog import build as build
from structtokenbench.tokenizers.protocol import BenchmarkTokenizer as BenchmarkTokenizer
