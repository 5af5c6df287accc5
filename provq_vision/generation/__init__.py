"""What draws new images, token by token, given a class?"""

from provq_vision.generation.config import GPTS as GPTS
from provq_vision.generation.config import GptConfig as GptConfig
from provq_vision.generation.config import gpt_config as gpt_config
from provq_vision.generation.folder import TrainedGpt as TrainedGpt
from provq_vision.generation.sampling import sample as sample
from provq_vision.generation.transformer import Gpt as Gpt
