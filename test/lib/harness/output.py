"""Output that is compared byte by byte, and readers that take their time."""

import errno
import hashlib
import os
import select
import tempfile
import threading
import time


def difference(got, expected):
    """None, or in one line how the two differ: lengths, digests and the first byte that does."""
    if got == expected:
        return None
    first = next((at for at, (a, b) in enumerate(zip(got, expected)) if a != b), min(len(got), len(expected)))
    digests = [hashlib.sha256(data).hexdigest()[:16] for data in (got, expected)]
    return (f"{len(got)} bytes ({digests[0]}) instead of {len(expected)} ({digests[1]}), "
            f"different from byte {first} on")


def is_full(path):
    """Whether a FIFO takes no more. It has a reader; of a pipe's end here: /proc/self/fd/N."""
    try:
        end = os.open(path, os.O_WRONLY | os.O_NONBLOCK)
    except OSError as error:
        if error.errno == errno.ENXIO:  # nobody has opened it yet
            return False
        raise
    try:
        return not select.select([], [end], [], 0)[1]
    finally:
        os.close(end)


def read_slowly(fd, late=1.5, pause=0.002, size=4096):
    """All that comes: begins late, and sleeps before each piece."""
    got = bytearray()
    time.sleep(late)
    while True:
        time.sleep(pause)
        data = os.read(fd, size)
        if not data:
            return bytes(got)
        got += data


def read_at_once(fd):
    with os.fdopen(os.dup(fd), "rb") as file:
        return file.read()


def through_cat(containerd, runtime, container, data, read=read_at_once, timeout=120):
    """What comes of data that goes through `ctr run --rm ... cat`; and None, or what went wrong."""
    with tempfile.TemporaryFile() as file:
        file.write(data)
        file.seek(0)
        running = containerd.popen("run", "--rm", "--runtime", runtime, "localhost/busybox:latest", container, "cat",
                                   stdin=file)
    got = []
    reader = threading.Thread(target=lambda: got.append(read(running.stdout.fileno())), daemon=True)
    reader.start()
    reader.join(timeout)
    if reader.is_alive():
        running.kill()
        reader.join()
        return b"".join(got), f"no end in {timeout} s"
    error = running.stderr.read().decode(errors="replace").strip()
    rc = running.wait()
    running.stdout.close()
    running.stderr.close()
    return got[0], f"rc {rc}: {error}" if rc or error else None
