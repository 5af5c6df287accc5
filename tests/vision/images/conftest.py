"""What do the tests of images share: small pictures, files of them, archives."""

import io
import tarfile
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
from PIL import Image


@pytest.fixture(scope="session")
def picture() -> Callable[..., np.ndarray]:
    """Return a maker of pictures: smooth color gradients with a little noise."""

    def make(seed: int = 0, height: int = 20, width: int = 24) -> np.ndarray:
        generator = np.random.default_rng(seed)
        rows, columns = np.mgrid[0:height, 0:width] / max(height, width)
        waves = [np.sin(7 * (rows * a + columns * b + c)) for a, b, c in generator.random((3, 3))]
        noise = generator.normal(0.0, 8.0, (height, width, 3))
        return np.clip(128 + 100 * np.stack(waves, 2) + noise, 0, 255).astype(np.uint8)

    return make


@pytest.fixture(scope="session")
def file_bytes(picture) -> Callable[..., bytes]:
    """Return a maker of image files."""

    def make(seed: int = 0, kind: str = "PNG", height: int = 20, width: int = 24) -> bytes:
        stream = io.BytesIO()
        Image.fromarray(picture(seed, height, width)).save(stream, kind)
        return stream.getvalue()

    return make


@pytest.fixture(scope="session")
def write_tar() -> Callable[[Path, Mapping[str, bytes]], Path]:
    """Return a writer of archives, from names to bytes in the order given."""

    def write(path: Path, members: Mapping[str, bytes]) -> Path:
        with tarfile.open(path, "w") as archive:
            for name, data in members.items():
                member = tarfile.TarInfo(name)
                member.size = len(data)
                archive.addfile(member, io.BytesIO(data))
        return path

    return write


@pytest.fixture(scope="session")
def write_folder() -> Callable[[Path, Mapping[str, bytes]], Path]:
    """Return a writer of folders, from paths below it to bytes."""

    def write(folder: Path, files: Mapping[str, bytes]) -> Path:
        for name, data in files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        return folder

    return write
