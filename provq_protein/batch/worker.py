"""What does a worker process do?"""

import os
import signal
import threading
from multiprocessing import parent_process
from multiprocessing.connection import Connection

from provq_protein.batch.messages import LoadEncoder, Ready, Stopped
from provq_protein.batch.shards import ShardSettings


def serve(connection: Connection, load_encoder: LoadEncoder, settings: ShardSettings) -> None:
    """
    Load the model, then make one shard after another until nobody asks any more.

    Parameters
    ----------
    connection : Connection
        To the parent process: it sends `ShardTask`, and gets `Ready`, `Working`, `ShardDone`
        and `Stopped`.
    load_encoder : callable
        Returns the `Encoder`.
    settings : ShardSettings
        Where shards are put.
    """
    _end_with_parent()
    # Ctrl-C reaches every process of a terminal; the parent decides what follows from it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        # Not at the top: the parent, which imports this module, reads no structures.
        from provq_protein.batch.encoding import encode_shard

        encoder = load_encoder()
        reason = getattr(encoder, "exact_because", None)
        connection.send(Ready(encoder.fingerprint, reason))
        while True:
            task = connection.recv()
            connection.send(encode_shard(task, encoder, settings, connection.send))
    except EOFError:
        return
    except Exception as error:  # noqa: BLE001 - the parent raises it again
        connection.send(stopped(error))


def stopped(error: Exception) -> Stopped:
    """
    Return an exception as a message.

    Parameters
    ----------
    error : Exception
        What was raised.

    Returns
    -------
    Stopped
        Class and text; of an error of the operating system also its number.
    """
    if isinstance(error, OSError) and error.errno is not None:
        where = "" if error.filename is None else f"{error.filename}: "
        return Stopped("OSError", f"{where}{error.strerror}", error.errno)
    return Stopped(type(error).__name__, str(error))


def _end_with_parent() -> None:
    """End this process as soon as its parent is gone, however that came to be."""
    parent = parent_process()
    if parent is None:
        return

    def watch() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
