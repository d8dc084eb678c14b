"""The native library: its functions, its structs with the names of threegate.h, and contexts."""

from __future__ import annotations

import ctypes
import os
import sys
import threading
from contextlib import contextmanager
from ctypes import POINTER, byref, c_char, c_double, c_int32, c_int64, c_void_p, sizeof
from operator import index
from typing import Any, Iterator, Optional

import numpy as np

ABI_VERSION = 21  # of the header that the structs below mirror
SONAME = "libthreegate.so.1"
VARIABLE = "THREEGATE_LIBRARY"
_TYPES = {"p": c_void_p, "q": c_int64, "i": c_int32, "d": c_double}

# The parameters of each function: pointers (p), int64_t (q) and int32_t (i). All return an int32_t.
FUNCTIONS = {
    "tg_abi_version": "",
    "tg_capabilities_query": "p",
    "tg_context_create": "pppq",
    "tg_context_destroy": "p",
    "tg_context_threads": "pp",
    "tg_error_message": "ppq",
    "tg_memory_allocate": "qp",
    "tg_memory_free": "p",
    "tg_diff_workspace": "pppqppp",
    "tg_diff": "pppqppppp",
    "tg_svd_workspace": "pppqppp",
    "tg_svd": "pppqpppp",
    "tg_mask_select_workspace": "pppp",
    "tg_mask_select": "ppppppq",
    "tg_mask_combine": "ppipqp",
    "tg_mask_overlaps": "pppp",
    "tg_patch_extract": "pppp",
    "tg_patch_apply": "pppq",
    "tg_patch_verify": "pppqp",
}


def _fields(names: str, **structs: Any) -> list[tuple[str, Any]]:
    # A number is the length of a text.
    kinds = {**_TYPES, **structs}
    pairs = (word.split(":") for word in names.split())
    return [(name, kinds[kind] if kind in kinds else c_char * int(kind)) for name, kind in pairs]


class _Sized(ctypes.Structure):
    """A struct that begins with its own size."""

    def __init__(self, **fields: Any) -> None:
        super().__init__(size=sizeof(self), **fields)


class tg_matrix(ctypes.Structure):
    _fields_ = _fields("data:p rows:q columns:q row_stride:q dtype:i reserved:i")


class tg_operand(_Sized):
    _fields_ = _fields(
        "size:q values:matrix block_scale:matrix block_rows:q block_columns:q low_rank:p low_rank_count:q",
        matrix=tg_matrix,
    )


class tg_workspace_size(_Sized):
    _fields_ = _fields("size:q host_bytes:q device_bytes:q")


class tg_workspace(_Sized):
    _fields_ = _fields("size:q host:p host_bytes:q device:p device_bytes:q")


class tg_context_options(_Sized):
    _fields_ = _fields("size:q threads:i device:i device_index:i reserved:i")


class tg_capabilities(_Sized):
    _fields_ = _fields(
        "size:q hardware_threads:i simd:i cuda_devices:i reserved:i memory_bytes:q version:32 cpu:96 simd_reason:256 "
        "cuda_reason:256 blas:160 cuda:160 blas_file:256"
    )


class tg_diff_options(_Sized):
    _fields_ = _fields("size:q")


class tg_diff_profiles(_Sized):
    _fields_ = _fields("size:q row_changed:p column_changed:p mask:p mask_words:q map:p map_rows:q map_columns:q")


class tg_diff_result(_Sized):
    _fields_ = _fields(
        "size:q total:q changed:q changed_bits:q changed_stored:q hidden:q non_finite:q sign_flips:q "
        "ulp_histogram:bins base_squares:d delta_squares:d delta_dot_base:d max_abs_delta:d",
        bins=c_int64 * 15,
    )


class tg_svd_options(_Sized):
    _fields_ = _fields("size:q rank:q tolerance:d vectors:i reserved:i")


class tg_svd_result(_Sized):
    _fields_ = _fields(
        "size:q values:p left:p right:p spectrum:p residual:d orthogonality:d spectrum_error:d method:i status:i"
    )


class tg_mask_scores(_Sized):
    _fields_ = _fields(
        "size:q matrix:operand values:p left:p right:p rank:q rows:q columns:q", operand=POINTER(tg_operand)
    )


class tg_mask_options(_Sized):
    _fields_ = _fields("size:q count:q smallest:i reserved:i")


class tg_mask_sets(_Sized):
    _fields_ = _fields("size:q masks:p count:q rows:q columns:q")


class tg_patch_pair(_Sized):
    _fields_ = _fields("size:q before:p after:p count:q first:q width:i form:i")


class tg_patch_entries(_Sized):
    _fields_ = _fields("size:q positions:p values:p count:q width:i form:i")


def _load() -> ctypes.CDLL:
    given = os.environ.get(VARIABLE)
    names = [given] if given else [SONAME] + [os.path.join(p, "lib", SONAME) for p in (sys.prefix, "/usr/local")]
    reasons = []
    for name in names:
        try:
            library = ctypes.CDLL(name)
            break
        except OSError as error:
            reasons.append(str(error))
    else:
        raise ImportError(
            f"{SONAME} cannot be loaded: {'; '.join(reasons)}. Install it with cmake --install, or set {VARIABLE} to its path"
        )
    for function, parameters in FUNCTIONS.items():
        getattr(library, function).argtypes = [_TYPES[kind] for kind in parameters]
    if library.tg_abi_version() < ABI_VERSION:
        raise ImportError(
            f"{name} has ABI version {library.tg_abi_version()}, and this package needs {ABI_VERSION}: install a newer one"
        )
    return library


library = _load()

# What each status raises. All others raise RuntimeError.
_ERRORS: dict[int, type[Exception]] = {
    1: ValueError,
    2: NotImplementedError,
    3: MemoryError,
    5: OSError,
    8: np.linalg.LinAlgError,
}


def _require(status: int, message: str) -> None:
    if status != 0:
        raise _ERRORS.get(status, RuntimeError)(message)


class Context:
    """The threads of the kernels, and the memory of a GPU if there is one.

    Parameters
    ----------
    threads : int, default 0
        The number of threads. 0 means one per hardware thread that this process may use.
    device : {"cpu", "cuda"}, default "cpu"
        Where the kernels run.
    device_index : int, default 0
        The index of the GPU.

    Notes
    -----
    A context runs one call at a time. Functions without a context use one per Python thread. A context cannot be used in
    a forked process, because its threads stay behind.
    """

    def __init__(self, threads: int = 0, device: str = "cpu", device_index: int = 0) -> None:
        self._handle: Optional[c_void_p] = None
        self._process = os.getpid()
        if device not in ("cpu", "cuda"):
            raise ValueError(f"device is {device!r}; allowed are 'cpu' and 'cuda'")
        options = tg_context_options(
            threads=index(threads), device=int(device == "cuda"), device_index=index(device_index)
        )
        handle, reason = c_void_p(), ctypes.create_string_buffer(512)
        _require(library.tg_context_create(byref(options), byref(handle), reason, len(reason)), reason.value.decode())
        self._handle = handle

    def close(self) -> None:
        """Free the context. It may be called more than once."""
        if self._handle is not None and self._process == os.getpid():
            _require(library.tg_context_destroy(self._handle), "the context is in use by another thread")
        self._handle = None

    def __enter__(self) -> "Context":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        if getattr(self, "_handle", None) is not None and self._process == os.getpid():
            library.tg_context_destroy(self._handle)

    @property
    def threads(self) -> int:
        """The number of CPU threads."""
        threads = c_int32()
        self.call("tg_context_threads", byref(threads))
        return threads.value

    def call(self, function: str, *arguments: Any) -> None:
        """Call a function of the library with this context, and raise the exception that its status stands for."""
        if self._handle is None:
            raise ValueError("the context is closed")
        if self._process != os.getpid():
            raise RuntimeError("the context belongs to the parent process; create one after the fork")
        status = getattr(library, function)(self._handle, *arguments)
        if status != 0:
            reason = ctypes.create_string_buffer(1024)
            library.tg_error_message(self._handle, reason, len(reason))
            _require(status, reason.value.decode())

    @contextmanager
    def workspace(self, query: str, *arguments: Any) -> Iterator[Any]:
        """Provide the memory that a workspace query asks for, as an argument of the call."""
        need, memory = tg_workspace_size(), c_void_p()
        self.call(query, *arguments, byref(need))
        _require(library.tg_memory_allocate(need.host_bytes, byref(memory)), f"{need.host_bytes} bytes of workspace")
        try:
            yield byref(tg_workspace(host=memory, host_bytes=need.host_bytes))
        finally:
            library.tg_memory_free(memory)


_local = threading.local()


def default_context() -> Context:
    """Return the context of this Python thread."""
    context: Optional[Context] = getattr(_local, "context", None)
    if context is None or context._process != os.getpid():
        context = _local.context = Context()
    return context


def capabilities() -> dict[str, Any]:
    """Return what the library can use on this machine.

    Returns
    -------
    dict
        The fields of ``tg_capabilities``: threads, the version, the processor, BLAS and CUDA devices.
    """
    found = tg_capabilities()
    _require(library.tg_capabilities_query(byref(found)), "the library cannot be used; see THREEGATE_SIMD and OpenBLAS")
    values = {name: getattr(found, name) for name, _ in found._fields_ if name not in ("size", "reserved")}
    return {name: value.decode() if isinstance(value, bytes) else value for name, value in values.items()}
