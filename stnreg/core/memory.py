"""Memory that was freed and is still held by the process."""

import ctypes


def give_back() -> None:
    """Return freed memory to the system, where the C library can: glibc keeps arrays of up to 32 MiB for later ones.

    Before a stage that needs much, what an earlier one left in many small gaps counts twice.
    """
    try:
        trim = ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError, TypeError):  # not glibc; Windows has no such library
        return
    trim(0)
