"""What the machine itself can do, measured in the same run: the disk's syncs and raw signatures."""

import os
import platform
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256

BLOCK = bytes(4096)
MESSAGE = bytes(700)


def file_system(folder: Path) -> str:
    """Name the kind of file system that a folder is on."""
    mounts = [line.split()[1:3] for line in Path("/proc/mounts").read_text().splitlines()]
    place = folder.resolve()
    over = [(point, kind) for point, kind in mounts if place.is_relative_to(point)]
    return max(over, key=lambda mount: len(mount[0]))[1] if over else "unknown"


def syncs_a_second(folder: Path, seconds: float) -> float:
    """Append a block and wait until the disk has it, again and again."""
    with tempfile.TemporaryFile(dir=folder) as file:
        descriptor = file.fileno()

        def once() -> None:
            os.write(descriptor, BLOCK)
            os.fdatasync(descriptor)

        return _rate(once, seconds, time.perf_counter)


def signatures_a_second(seconds: float) -> dict[str, float]:
    """Sign with nothing around it, by processor time: what a token can cost at the very least."""
    curve = ec.generate_private_key(ec.SECP256R1())
    large = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    edwards = ed25519.Ed25519PrivateKey.generate()
    ecdsa, pkcs1, sha256 = ec.ECDSA(SHA256()), padding.PKCS1v15(), SHA256()
    return {
        "ES256": _rate(lambda: curve.sign(MESSAGE, ecdsa), seconds, time.process_time),
        "EdDSA": _rate(lambda: edwards.sign(MESSAGE), seconds, time.process_time),
        "RS256": _rate(lambda: large.sign(MESSAGE, pkcs1, sha256), seconds, time.process_time),
    }


def _rate(once: Callable[[], object], seconds: float, clock: Callable[[], float]) -> float:
    count, began = 0, clock()
    while (took := clock() - began) < seconds:
        once()
        count += 1
    return count / took


def processor() -> str:
    """Name the processor, as far as the machine tells."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.machine())


def load_average() -> str:
    """Give the one-minute load: far above zero before a run means that the machine is not quiet."""
    return Path("/proc/loadavg").read_text().split()[0]
