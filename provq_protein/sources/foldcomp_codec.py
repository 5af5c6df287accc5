"""How does FoldComp data become the text of a PDB file, without a risk for the run?"""

import contextlib
import os
import struct
import subprocess
import sys
from pathlib import Path
from threading import Timer
from typing import IO, Any

from provq_protein.errors import MissingExtraError, StructureError
from provq_protein.extras import require_extra
from provq_protein.sources.member import over_limit

FOLDCOMP_WARNING = (
    "FoldComp stores coordinates with a loss of mostly about 0.05 Angstrom, which changes many "
    "tokens (about half with the shipped model): do not mix them with tokens of original files"
)
"""To be shown once by whoever encodes members whose source is ``"foldcomp"``."""
MAGIC = b"FCMP"
"""First bytes of FoldComp data."""

# After the magic: residues, three counts that say nothing of the size, anchors; side-chain
# torsions; length of the title.
_HEADER = struct.Struct("<4xH6xB3xI4xI")
_HEADER_BYTES = 76
_ANCHOR_BYTES, _RESIDUE_BYTES, _OTHER_BYTES = 40, 9, 21
_HEAD = struct.Struct("<BQ")
_DONE, _FAILED, _TOO_LONG = range(3)
_REQUEST = struct.Struct("<QQ")
# No chain needs as much; a damaged header may ask for any amount.
_MEMORY = 4 << 30
_SECONDS = 60.0
_START = "import sys; sys.path.append({root!r}); from {module} import serve; serve()"


class FoldcompDecoder:
    """
    Decodes FoldComp data in a process of its own, which is started on first use.

    Parameters
    ----------
    seconds : float
        How long one entry may take.

    Notes
    -----
    The decoder checks little of what it reads: changed bytes make it end its process, or ask for
    any amount of memory. In a process of its own that costs one entry. That no bytes are missing
    is compared here. The format has no checksum, so changed bytes may also decode to other
    coordinates, which nothing can notice.
    """

    def __init__(self, seconds: float = _SECONDS) -> None:
        self._seconds = seconds
        self._process: subprocess.Popen[bytes] | None = None

    def decode(self, content: bytes, *, limit: int) -> bytes:
        """
        Return the PDB file that FoldComp data stands for.

        Parameters
        ----------
        content : bytes
            One entry, as in a ``.fcz`` file.
        limit : int
            Most bytes of the result.

        Returns
        -------
        bytes
            The text of a PDB file.

        Raises
        ------
        StructureError
            If the data cannot be decoded, or the result is larger than `limit`.
        MissingExtraError
            If the package ``foldcomp`` is not installed.
        """
        if not content.startswith(MAGIC):
            msg = f"is no FoldComp data: it begins with {content[:4]!r}, expected {MAGIC!r}"
            raise StructureError(msg)
        declared = _declared_size(content)
        if len(content) < declared:
            msg = f"its FoldComp data ends too early: {len(content):,} of {declared:,} bytes"
            raise StructureError(msg)
        process = self._started()
        timer = Timer(self._seconds, process.kill)
        timer.start()
        try:
            status, payload = _ask(process, content, limit)
        except (OSError, EOFError):
            code = self._discard()
            msg = f"its FoldComp data is damaged: decoding it ended with {_ending(code)}"
            raise StructureError(msg) from None
        finally:
            timer.cancel()
            timer.join()
        if status == _TOO_LONG:
            msg = over_limit(
                "member_bytes", limit, f"expands to {int(payload):,} bytes of PDB text"
            )
            raise StructureError(msg)
        if status == _FAILED:
            reason = payload.decode("utf-8", "replace")
            msg = f"its FoldComp data cannot be decoded: {reason}; get it again"
            raise StructureError(msg)
        return payload

    def close(self) -> None:
        """End the process, if one was started."""
        if self._process is not None:
            self._discard()

    def _started(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            _require_foldcomp()
            root = Path(__file__).resolve().parents[2]
            code = _START.format(root=os.fspath(root), module=__name__)
            self._process = subprocess.Popen(
                # -P: the current folder is no place to import from.
                [sys.executable, "-P", "-c", code],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )
        return self._process

    def _discard(self) -> int:
        process, self._process = self._process, None
        if process is None:
            return 0
        if process.stdin:
            # With its input closed a sound process ends by itself.
            with contextlib.suppress(OSError):
                process.stdin.close()
        try:
            code = process.wait(timeout=2.0)
        except subprocess.TimeoutExpired:
            process.kill()
            code = process.wait()
        if process.stdout:
            process.stdout.close()
        return code


def foldcomp_installed() -> bool:
    """
    Tell whether FoldComp data can be read and made.

    Returns
    -------
    bool
        True if the package ``foldcomp`` can be imported.
    """
    try:
        _require_foldcomp()
    except MissingExtraError:
        return False
    return True


def compress(name: str, text: str) -> bytes:
    """
    Return a chain as FoldComp data, for measurements of what its loss does.

    Parameters
    ----------
    name : str
        Title of the entry.
    text : str
        PDB file of one chain without gaps, all of whose residues have their atoms. Others are
        given back changed, or end the process: do not pass what you have not looked at.

    Returns
    -------
    bytes
        What a ``.fcz`` file holds.

    Raises
    ------
    MissingExtraError
        If the package ``foldcomp`` is not installed.
    """
    return bytes(_require_foldcomp().compress(name, text))


def _declared_size(content: bytes) -> int:
    """Return how many bytes the header speaks of; the decoder does not compare that itself."""
    if len(content) < _HEADER_BYTES:
        return _HEADER_BYTES
    residues, anchors, torsions, title = _HEADER.unpack_from(content)
    fixed = _HEADER_BYTES + _OTHER_BYTES
    return fixed + _ANCHOR_BYTES * anchors + _RESIDUE_BYTES * residues + torsions + title


def _require_foldcomp() -> Any:  # noqa: ANN401 - a compiled module without types
    return require_extra("foldcomp", extra="foldcomp", purpose="reading FoldComp data")


def _ask(process: subprocess.Popen[bytes], content: bytes, limit: int) -> tuple[int, bytes]:
    if process.stdin is None or process.stdout is None:
        raise EOFError
    process.stdin.write(_REQUEST.pack(len(content), limit) + content)
    process.stdin.flush()
    status, size = _HEAD.unpack(_exactly(process.stdout, _HEAD.size))
    return status, _exactly(process.stdout, size)


def _exactly(stream: IO[bytes], size: int) -> bytes:
    content = stream.read(size)
    if len(content) < size:
        raise EOFError
    return content


def _ending(code: int) -> str:
    return f"signal {-code}" if code < 0 else f"exit code {code}"


def serve() -> None:
    """
    Answer requests on standard input until it closes; the other side of `FoldcompDecoder`.

    Notes
    -----
    A request is the length of the data and the limit, as unsigned 64-bit integers, and the data;
    an answer is a status byte, a length and as many bytes. Memory is limited where the system
    can limit it.
    """
    with contextlib.suppress(ImportError, OSError, ValueError):
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    answers = os.fdopen(os.dup(1), "wb")
    # What the compiled code prints must not come between the answers.
    os.dup2(2, 1)
    foldcomp = _require_foldcomp()
    requests = sys.stdin.buffer
    with contextlib.suppress(EOFError, BrokenPipeError), answers:
        while True:
            size, limit = _REQUEST.unpack(_exactly(requests, _REQUEST.size))
            status, payload = _decoded(foldcomp, _exactly(requests, size), limit)
            answers.write(_HEAD.pack(status, len(payload)) + payload)
            answers.flush()


def _decoded(foldcomp: Any, content: bytes, limit: int) -> tuple[int, bytes]:  # noqa: ANN401
    try:
        text = foldcomp.decompress(content)[1].encode("utf-8", "surrogateescape")
    except Exception as error:  # noqa: BLE001 - whatever it is, it concerns this entry only
        return _FAILED, (str(error) or type(error).__name__).encode("utf-8", "replace")
    if len(text) > limit:
        return _TOO_LONG, str(len(text)).encode()
    return _DONE, text
