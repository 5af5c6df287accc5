"""How are the Inception features of published FIDs reached, where a user has the network?"""

from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor

from provq_protein.errors import CheckpointError, MissingExtraError
from provq_protein.extras import require_extra
from provq_protein.runs.foreign_files import read_foreign
from provq_vision.metrics.files import file_sha256
from provq_vision.metrics.perceived import Perceived

_FEATURES = 2048
NETWORK = "inception-v3-2015-12-05"
"""How the ids of these features begin, whichever package computes them."""

# Of maps of 17 x 17 positions. TensorFlow's graph calls the layer mixed_6/conv.
_SPATIAL_LAYER, _SPATIAL_CHANNELS, _SPATIAL_SIDE = "Mixed_6d.branch1x1", 7, 17
# The file of 2015-12-05 that FIDs are computed with bears the start of its SHA-256 in its name.
_PUBLISHED = "6726825d"
_PACKAGES = ("torch_fidelity", "torchvision")


class InceptionFeatures:
    """
    The last pooled features of the Inception-v3 that published FIDs are computed with.

    Parameters
    ----------
    weights : Path
        A local copy of ``pt_inception-2015-12-05-6726825d.pth``, as torch-fidelity and
        pytorch-fid publish it. Nothing is downloaded.
    device : str or torch.device
        Where to compute.

    Attributes
    ----------
    id : str
        Names network, layer, and the package that computes it.
    weights_sha256 : str
        Of the file.
    dim : int
        2,048.
    spatial_id : str
        As `id`, of the spatial features.
    spatial_dim : int
        2,023.

    Raises
    ------
    MissingExtraError
        If torch-fidelity, or the torchvision that it imports, is not installed.
    CheckpointError
        If the file is missing, damaged, or another one.

    Notes
    -----
    torch-fidelity repeats the network of TensorFlow, with its bilinear resizing to 299 pixels.
    The Inception-v3 of torchvision is another network, whose features give other distances.

    References
    ----------
    .. [1] Obukhov et al., "High-fidelity performance metrics for generative models in PyTorch"
       (torch-fidelity), https://github.com/toshas/torch-fidelity.
    """

    def __init__(self, weights: Path, *, device: str | torch.device = "cpu") -> None:
        absent = [name for name in _PACKAGES if find_spec(name) is None]
        if absent:
            msg = (
                f"the features 'inception' need the package {absent[0]!r}, which is not "
                "installed; install torch-fidelity and the torchvision that fits your torch with: "
                "pip install torch-fidelity. The features 'efficientnet-lite0' need neither"
            )
            raise MissingExtraError(msg)
        self.weights_sha256 = file_sha256(weights)
        if not self.weights_sha256.startswith(_PUBLISHED):
            msg = (
                f"{weights}: its SHA-256 starts with {self.weights_sha256[:8]}, that of the "
                f"published Inception weights with {_PUBLISHED}; it is damaged or another file, "
                "and distances would not be FIDs"
            )
            raise CheckpointError(msg)
        # The package reads the file without restrictions. What this reader accepts is harmless.
        read_foreign(weights)
        module = require_extra(
            "torch_fidelity.feature_extractor_inceptionv3",
            extra="vision-metrics",
            purpose="the features 'inception'",
        )
        try:
            network = module.FeatureExtractorInceptionV3(
                "inception",
                [str(_FEATURES), "logits_unbiased"],
                feature_extractor_weights_path=str(weights),
            )
        except (RuntimeError, TypeError) as error:
            msg = f"{weights}: does not fit the Inception-v3 of torch-fidelity: {error}"
            raise CheckpointError(msg) from error
        version = metadata.version("torch-fidelity")
        self.id = f"{NETWORK}/pool3-{_FEATURES}/torch-fidelity-{version}"
        self.dim = _FEATURES
        layer = f"mixed6-conv-first-{_SPATIAL_CHANNELS}"
        self.spatial_id = f"{NETWORK}/{layer}/torch-fidelity-{version}"
        self.spatial_dim = _SPATIAL_SIDE**2 * _SPATIAL_CHANNELS
        self._network = network.to(device)
        self._device = torch.device(device)

    @torch.no_grad()
    def __call__(self, images: Tensor) -> Tensor:
        """
        Return features of images.

        Parameters
        ----------
        images : Tensor, shape=(batch, 3, height, width), dtype=uint8
            RGB.

        Returns
        -------
        Tensor, shape=(batch, 2048), dtype=float32
            One row per image.
        """
        return self._network(images.to(self._device))[0]

    @torch.no_grad()
    def perceive(self, images: Tensor) -> Perceived:
        """
        Return everything about images in one pass.

        Parameters
        ----------
        images : Tensor, shape=(batch, 3, height, width), dtype=uint8
            RGB.

        Returns
        -------
        Perceived
            Pooled features as when called; the first 7 channels of the layer that sFIDs are
            computed from, row by row as in the stored statistics of published evaluations; logits
            of 1,008 classes without their bias, as published Inception scores have them.
        """
        maps: list[Tensor] = []
        layer = self._network.get_submodule(_SPATIAL_LAYER)
        hook = layer.register_forward_hook(lambda _layer, _inputs, output: maps.append(output))
        try:
            pooled, logits = self._network(images.to(self._device))
        finally:
            hook.remove()
        spatial = maps[0][:, :_SPATIAL_CHANNELS].permute(0, 2, 3, 1).flatten(1)
        return Perceived(pooled, spatial, logits)
