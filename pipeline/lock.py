"""One writer for each output folder.

A local folder is locked by the operating system, which lets go when the process dies, however it dies. An
object store gets a small file that its owner renews; a lock not renewed for STALE_S is taken over.
"""

import fcntl
import json
import os
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline.errors import RunLocked
from pipeline.io.store import Store

NAME = "lock"
RENEW_S = 30.0
STALE_S = 300.0


@contextmanager
def hold(store: Store) -> Iterator[None]:
    """Hold the folder's lock.

    Raises:
        RunLocked: another job holds it; the message says which.
    """
    with _local(store) if store.local else _remote(store):
        yield


def _owner() -> dict[str, object]:
    return {"host": socket.gethostname(), "pid": os.getpid(), "since": time.strftime("%Y-%m-%d %H:%M:%S")}


@contextmanager
def _local(store: Store) -> Iterator[None]:
    path = Path(store.path(NAME))
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            file.seek(0)
            raise RunLocked(
                f"{store.root}: another job is writing here: {file.read().strip() or 'unknown'}"
            ) from error
        file.truncate(0)
        file.write(json.dumps(_owner()))
        file.flush()
        yield


@contextmanager
def _remote(store: Store) -> Iterator[None]:
    token = uuid.uuid4().hex
    if store.exists(NAME):
        held = store.read_json(NAME)
        if time.time() - float(held["renewed"]) < STALE_S:
            raise RunLocked(f"{store.root}: another job is writing here: {held['owner']}")
    done = threading.Event()

    def renew() -> None:
        store.write_json(NAME, {"token": token, "owner": _owner(), "renewed": time.time()})

    def keep() -> None:
        while not done.wait(RENEW_S):
            renew()

    renew()
    time.sleep(1.0)  # two jobs may have written at once; the last one's token stands
    if store.read_json(NAME)["token"] != token:
        raise RunLocked(f"{store.root}: another job took the lock at the same moment")
    threading.Thread(target=keep, daemon=True, name="corpusmill-lock").start()
    try:
        yield
    finally:
        done.set()
        store.remove(NAME)
