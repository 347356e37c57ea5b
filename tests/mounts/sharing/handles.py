"""What an NFS server does with files: names them by handles, and opens them by these.

    handles.py name PATH...        prints a handle for each
    handles.py read MOUNT HANDLE   prints what the file holds, or the names in the folder
"""
import ctypes
import os
import sys

MAX_HANDLE = 128
AT_FDCWD = -100


class Handle(ctypes.Structure):
    _fields_ = [
        ("bytes", ctypes.c_uint),
        ("type", ctypes.c_int),
        ("handle", ctypes.c_ubyte * MAX_HANDLE),
    ]


libc = ctypes.CDLL(None, use_errno=True)


def checked(result):
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


def name(path):
    handle = Handle(bytes=MAX_HANDLE)
    mount = ctypes.c_int()
    checked(libc.name_to_handle_at(
        AT_FDCWD, os.fsencode(path), ctypes.byref(handle), ctypes.byref(mount), 0))
    return f"{handle.type}:{bytes(handle.handle[:handle.bytes]).hex()}"


def read(mount, text):
    kind, _, digits = text.partition(":")
    data = bytes.fromhex(digits)
    handle = Handle(bytes=len(data), type=int(kind))
    handle.handle[:len(data)] = data
    top = os.open(mount, os.O_RDONLY)
    fd = checked(libc.open_by_handle_at(top, ctypes.byref(handle), os.O_RDONLY))
    try:
        return " ".join(sorted(os.listdir(fd)))
    except NotADirectoryError:
        return os.read(fd, 1 << 20).decode()


match sys.argv[1:]:
    case ["name", *paths]:
        for path in paths:
            print(name(path))
    case ["read", mount, handle]:
        print(read(mount, handle))
