"""How do continuous latents become discrete codes, progressively?"""

from provq_protein.quantize.codebook import AbstractCodebook as AbstractCodebook
from provq_protein.quantize.codebook import Codebook as Codebook
from provq_protein.quantize.kmeans import kmeans as kmeans
from provq_protein.quantize.linear_codebook import LinearCodebook as LinearCodebook
from provq_protein.quantize.nearest import nearest_codes as nearest_codes
from provq_protein.quantize.progressive import ProgressiveQuantizer as ProgressiveQuantizer
from provq_protein.quantize.progressive import Quantized as Quantized
from provq_protein.quantize.schedule import ProgressiveSchedule as ProgressiveSchedule
from provq_protein.quantize.straight_through import straight_through as straight_through
from provq_protein.quantize.usage import CodeUsage as CodeUsage
from provq_protein.quantize.usage import code_counts as code_counts
from provq_protein.quantize.usage import mean_code_distance as mean_code_distance
from provq_protein.quantize.usage import normalized_perplexity as normalized_perplexity
from provq_protein.quantize.usage import perplexity as perplexity
from provq_protein.quantize.usage import utilization as utilization
