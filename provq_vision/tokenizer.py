"""How do images become tokens, and tokens images, with a trained model?"""

import os
from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from provq_protein.errors import CheckpointError, ConfigError, ImageError, TokenFormatError
from provq_protein.runs.documents import CONFIG, load_document
from provq_vision.images.crops import center_crop, to_bytes, to_floats
from provq_vision.images.pictures import check_pixels
from provq_vision.inputs import ImageInput, ImageInputs, OnProblem, attempt, gather
from provq_vision.model.autoencoder import ImageAutoencoder
from provq_vision.tokens import ImageTokens

# In the record of the training in a model folder.
IMAGE_SIZE = "image_size"


class Reconstruction(NamedTuple):
    """
    An image before and after it was tokens.

    Parameters
    ----------
    name : str
        Of the image.
    original : ndarray, shape=(height, width, 3), dtype=uint8
        What was encoded: the crop of the image.
    pixels : ndarray, shape=(height, width, 3), dtype=uint8
        What was decoded.
    """

    name: str
    original: NDArray[np.uint8]
    pixels: NDArray[np.uint8]


class ImageTokenizer:
    """
    Translate images into discrete tokens, and back into pixels.

    Parameters
    ----------
    model : ImageAutoencoder
        A trained model; it is put into evaluation mode. Move it to its device before.
    name : str
        What to call it in messages.
    image_size : int, optional
        Sides of the squares that it was trained on, in pixels; images are cropped to them where
        no other size is asked for.

    Raises
    ------
    ConfigError
        If the size is no multiple of the model's downsampling.

    Notes
    -----
    Images are encoded and decoded one at a time: convolutions of batches of different sizes
    round differently, and an id must follow from its image alone, not from what else was in a
    call.

    .. code-block:: python

        tokenizer = ImageTokenizer.from_pretrained("my_model")
        tokens = tokenizer.encode(["photos", "more.tar"])
        tokens.save("tokens.npz")
        images = tokenizer.decode(tokens)
    """

    def __init__(
        self, model: ImageAutoencoder, *, name: str = "model", image_size: int | None = None
    ) -> None:
        self.model = model.eval()
        self.name = name
        if image_size is not None:
            self._check_size(image_size)
        self.image_size = image_size

    @classmethod
    def from_pretrained(cls, folder: str | Path, *, device: str = "cpu") -> "ImageTokenizer":
        """
        Load a trained tokenizer.

        Parameters
        ----------
        folder : str or Path
            A model folder.
        device : str
            Where it computes, for instance "cuda". Ids of another device may differ where a
            latent lies as near to one code as to another.

        Returns
        -------
        ImageTokenizer
            With the image size that the folder records, if it does.

        Raises
        ------
        CheckpointError
            If the folder is absent, incomplete or damaged.
        ConfigError
            If there is no such device.
        """
        folder = Path(folder)
        model = ImageAutoencoder.load(folder)
        try:
            model.to(torch.device(device))
        # An unknown name, a device that is absent, and a torch that was built without it.
        except (RuntimeError, AssertionError, NotImplementedError) as error:
            msg = f"device {device!r}: cannot be used: {' '.join(str(error).split())}"
            raise ConfigError(msg) from error
        training = load_document(folder / CONFIG).get("training")
        size = training.get(IMAGE_SIZE) if isinstance(training, dict) else None
        try:
            return cls(model, name=os.fspath(folder), image_size=size)
        except ConfigError as error:
            msg = f"{folder / CONFIG}: training: {IMAGE_SIZE}: {error}"
            raise CheckpointError(msg) from error

    @cached_property
    def fingerprint(self) -> str:
        """Identity of encoder and codebook: equal fingerprints give tokens equal meaning."""
        return self.model.fingerprint()

    @property
    def codebook_size(self) -> int:
        """Number of codes, per level: ids lie in ``[0, codebook_size)``."""
        return int(self.model.quantizer.codebook.size)

    @property
    def downsampling(self) -> int:
        """Pixels along one side of the square that a token stands for."""
        return self.model.config.network.downsampling

    def size_for(self, size: int | None) -> int:
        """
        Return the sides of the squares that images are cropped to.

        Parameters
        ----------
        size : int or None
            What was asked for; None for the size of the training.

        Returns
        -------
        int
            In pixels.

        Raises
        ------
        ConfigError
            If the size is no multiple of the downsampling, or None and not recorded.
        """
        if size is not None:
            self._check_size(size)
            return size
        if self.image_size is None:
            msg = (
                f"{self.name}: does not record the size of the images that it was trained on; "
                "say to how many pixels to crop with size (--size)"
            )
            raise ConfigError(msg)
        return self.image_size

    def encode(
        self,
        images: ImageInputs,
        *,
        size: int | None = None,
        split: str | None = None,
        on_problem: OnProblem | None = None,
        on_done: Callable[[int], object] | None = None,
    ) -> ImageTokens:
        """
        Return the tokens of images.

        Parameters
        ----------
        images : str, Path, ImageSet, ndarray, Tensor, Pillow image, Gathered or several of them
            Image files, folders and ``.tar`` archives; uint8 arrays (height, width, 3); uint8
            tensors (batch, 3, height, width). Each image is cropped to its central square, as
            `provq_vision.images.crops.center_crop` does.
        size : int, optional
            Sides of the crops in pixels; by default those of the training.
        split : str, optional
            "train", "val" or "test" of the folders and archives.
        on_problem : callable, optional
            Called with an `ImageProblem` for each input that cannot be encoded, while the others
            are. Without it, the first problem is raised.
        on_done : callable, optional
            Called with 1 after each image, whatever became of it.

        Returns
        -------
        ImageTokens
            In the order of the inputs, and of the names within a folder or archive; without the
            images that `on_problem` was called with.

        Raises
        ------
        ImageError
            If an image cannot be encoded and `on_problem` is None.
        ConfigError
            If the size does not fit, or an input cannot be opened and `on_problem` is None.
        """
        size = self.size_for(size)
        gathered = gather(images, split=split, on_problem=on_problem)
        names, labels, ids = [], [], []

        def ids_of(image: ImageInput) -> NDArray[np.int32]:
            return self.encode_pixels(center_crop(image.pixels(), size))

        for image in gathered.images:
            found = attempt(image, ids_of, on_problem)
            if found is not None:
                names.append(image.name)
                labels.append(image.label)
                ids.append(found)
            if on_done is not None:
                on_done(1)
        return ImageTokens(
            ids=np.stack(ids) if ids else self._no_ids(size),
            names=tuple(names),
            labels=np.array(labels, dtype=np.int64),
            classes=gathered.classes,
            fingerprint=self.fingerprint,
            codebook_size=self.codebook_size,
        )

    def decode(self, tokens: ImageTokens) -> list[NDArray[np.uint8]]:
        """
        Return the images that tokens stand for.

        Parameters
        ----------
        tokens : ImageTokens
            From the same encoder and codebook.

        Returns
        -------
        list of ndarray, shape=(height, width, 3), dtype=uint8
            One per image.

        Raises
        ------
        TokenFormatError
            If another model made the tokens.
        """
        self.check_tokens(tokens)
        return [self.decode_ids(ids) for ids in tokens.ids]

    def reconstruct(
        self,
        images: ImageInputs,
        *,
        size: int | None = None,
        split: str | None = None,
        on_problem: OnProblem | None = None,
    ) -> Iterator[Reconstruction]:
        """
        Yield what is left of each image after encoding and decoding.

        Parameters
        ----------
        images : str, Path, ImageSet, ndarray, Tensor, Pillow image, Gathered or several of them
            As in `encode`.
        size : int, optional
            As in `encode`.
        split : str, optional
            As in `encode`.
        on_problem : callable, optional
            As in `encode`.

        Yields
        ------
        Reconstruction
            One per image, in order.

        Raises
        ------
        ImageError
            If an image cannot be encoded and `on_problem` is None.
        ConfigError
            If the size does not fit, or an input cannot be opened and `on_problem` is None.
        """
        size = self.size_for(size)

        def both(image: ImageInput) -> Reconstruction:
            original = center_crop(image.pixels(), size)
            return Reconstruction(
                image.name, original, self.decode_ids(self.encode_pixels(original))
            )

        for image in gather(images, split=split, on_problem=on_problem).images:
            found = attempt(image, both, on_problem)
            if found is not None:
                yield found

    @torch.inference_mode()
    def encode_pixels(self, pixels: NDArray[np.uint8]) -> NDArray[np.int32]:
        """
        Return the ids of one image as it is, without cropping.

        Parameters
        ----------
        pixels : ndarray, shape=(height, width, 3), dtype=uint8
            Colors (RGB); height and width are multiples of the downsampling.

        Returns
        -------
        ndarray, shape=(row, column), dtype=int32
            The ids; with a last axis of levels where the codebook is residual.

        Raises
        ------
        ImageError
            If the array is no such image.
        """
        check_pixels(pixels)
        factor = self.downsampling
        if any(side % factor for side in pixels.shape[:2]):
            msg = (
                f"image: expected height and width that are multiples of {factor}, got "
                f"{pixels.shape[0]} x {pixels.shape[1]}; crop it"
            )
            raise ImageError(msg)
        # A copy, because torch warns of arrays that cannot be written, as Pillow makes them.
        batch = torch.from_numpy(np.array(pixels)).permute(2, 0, 1)[None]
        indices = self.model.encode(to_floats(batch.to(self._device)).contiguous())
        return indices[0].cpu().numpy().astype(np.int32)

    @torch.inference_mode()
    def decode_ids(self, ids: NDArray[np.integer]) -> NDArray[np.uint8]:
        """
        Return the image that ids stand for.

        Parameters
        ----------
        ids : ndarray, shape=(row, column), dtype=int
            As `encode_pixels` returns them, of any number of rows and columns.

        Returns
        -------
        ndarray, shape=(height, width, 3), dtype=uint8
            What the model reconstructs in eval mode, rounded to bytes.

        Raises
        ------
        ValueError
            If the shape does not fit, or an id is no code.
        """
        indices = torch.from_numpy(np.array(ids, dtype=np.int64))[None].to(self._device)
        image = to_bytes(self.model.decode(indices))[0]
        return image.permute(1, 2, 0).contiguous().cpu().numpy()

    def check_tokens(self, tokens: ImageTokens) -> None:
        """
        Refuse tokens that mean something else to this tokenizer.

        Parameters
        ----------
        tokens : ImageTokens
            What should be decoded.

        Raises
        ------
        TokenFormatError
            If another model made them.
        """
        if tokens.fingerprint != self.fingerprint:
            msg = (
                f"tokens of the model with fingerprint {tokens.fingerprint}, but {self.name!r} "
                f"has {self.fingerprint}; decode with the model that encoded, or encode again"
            )
            raise TokenFormatError(msg)

    @property
    def _device(self) -> torch.device:
        return next(self.model.parameters()).device

    def _no_ids(self, size: int) -> NDArray[np.int32]:
        side = size // self.downsampling
        return np.zeros((0, side, side, *self.model.quantizer.codebook.index_shape), np.int32)

    def _check_size(self, size: int) -> None:
        factor = self.downsampling
        if not isinstance(size, int) or isinstance(size, bool) or size < factor or size % factor:
            msg = (
                f"size: expected a multiple of {factor} pixels, the downsampling of "
                f"{self.name!r}, got {size!r}"
            )
            raise ConfigError(msg)
