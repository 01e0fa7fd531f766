"""
Seccomp: a program to which the kernel refuses some system calls, as the profiles of container runtimes do.

Their numbers are the same on all machines for calls that are as new as those of io_uring.
"""

import ctypes
import os
import shlex
import struct
import sys

IO_URING_SETUP, IO_URING_ENTER = 425, 426

PR_SET_SECCOMP, PR_SET_NO_NEW_PRIVS = 22, 38
SECCOMP_MODE_FILTER = 2
LOAD_NUMBER, JUMP_IF_EQUAL, RETURN = 0x20, 0x15, 0x06
ALLOW, ERROR = 0x7FFF0000, 0x00050000


class Program(ctypes.Structure):
    _fields_ = [("n", ctypes.c_ushort), ("instructions", ctypes.c_void_p)]


def refusing(directory, program, call, error):
    """A program that is this one, but that the call fails with this errno."""
    path = directory / f"without-{call}"
    words = [sys.executable, __file__, call, error, program]
    path.write_text(f"#!/bin/sh\nexec {shlex.join(map(str, words))} \"$@\"\n", encoding="ascii")
    path.chmod(0o755)
    return path


def refuse(call, error):
    """From now on, to this process and all that it starts."""
    steps = [(LOAD_NUMBER, 0, 0, 0), (JUMP_IF_EQUAL, 0, 1, call), (RETURN, 0, 0, ERROR | error), (RETURN, 0, 0, ALLOW)]
    instructions = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in steps))
    kernel = ctypes.CDLL(None, use_errno=True)
    if kernel.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) or kernel.prctl(
            PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(Program(len(steps), ctypes.addressof(instructions))), 0, 0):
        raise OSError(ctypes.get_errno(), "the kernel takes no filter")


if __name__ == "__main__":
    refuse(int(sys.argv[1]), int(sys.argv[2]))
    os.execv(sys.argv[3], sys.argv[3:])
