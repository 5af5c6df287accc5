"""Which images did a model draw?"""

from provq_vision.samples.sample_set import SampleSet as SampleSet
from provq_vision.samples.settings import DrawPlan as DrawPlan
from provq_vision.samples.settings import SampleSettings as SampleSettings
