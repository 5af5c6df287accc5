"""What turns images into latents, and codes into images?"""

from provq_vision.model.autoencoder import ImageAutoencoder as ImageAutoencoder
from provq_vision.model.autoencoder import ImageAutoencoderOutput as ImageAutoencoderOutput
from provq_vision.model.config import NETWORKS as NETWORKS
from provq_vision.model.config import CodebookConfig as CodebookConfig
from provq_vision.model.config import ImageModelConfig as ImageModelConfig
from provq_vision.model.config import NetworkConfig as NetworkConfig
from provq_vision.model.config import llamagen_config as llamagen_config
