"""Tests that the declarations in _library.py are those of threegate.h, and how the library is found."""

import ctypes
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from threegate import Context, _library, capabilities

INCLUDE = Path(__file__).parents[3] / "native" / "include"
HEADER = (INCLUDE / "threegate" / "threegate.h").read_text()
STRUCTS = [value for name, value in vars(_library).items() if name.startswith("tg_")]


def test_layouts_are_those_of_the_header(tmp_path):
    lines = []
    for struct in STRUCTS:
        lines.append(f"_Static_assert(sizeof({struct.__name__}) == {ctypes.sizeof(struct)}, {struct.__name__!r});")
        for name, kind in struct._fields_:
            field = getattr(struct, name)
            declared = f"(({struct.__name__}*)0)->{name}"
            lines.append(f"_Static_assert(offsetof({struct.__name__}, {name}) == {field.offset}, {name!r});")
            lines.append(f"_Static_assert(sizeof({declared}) == {field.size}, {name!r});")
            if kind is ctypes.c_double:
                lines.append(f"_Static_assert(_Generic({declared}, double: 1, default: 0), {name!r});")
    assert len(STRUCTS) == 16 and len(lines) > 200
    source = tmp_path / "layout.c"
    source.write_text(
        "#include <stddef.h>\n#include <threegate/threegate.h>\n" + "\n".join(lines).replace("'", '"') + "\n"
    )
    compiler = os.environ.get("CC", "cc")
    checked = subprocess.run(
        [compiler, "-std=c11", "-fsyntax-only", f"-I{INCLUDE}", source], capture_output=True, text=True
    )
    assert checked.returncode == 0, checked.stderr


@pytest.mark.parametrize("function", _library.FUNCTIONS)
def test_parameters_are_those_of_the_header(function):
    parameters = re.search(rf"^TG_API \w+ {function}\(([^)]*)\);", HEADER, re.MULTILINE).group(1)
    kinds = {"int64_t": "q", "int32_t": "i", "void": ""}
    declared = (("p" if "*" in one else kinds[one.split()[0]]) for one in parameters.split(","))
    assert "".join(declared) == _library.FUNCTIONS[function]


def test_the_version_is_that_of_the_header():
    assert int(re.search(r"^#define TG_ABI_VERSION (\d+)", HEADER, re.MULTILINE).group(1)) == _library.ABI_VERSION


def test_capabilities():
    found = capabilities()
    assert found["hardware_threads"] > 0 and found["version"] and found["cpu"]
    assert "OpenBLAS" in found["blas"] and os.path.exists(found["blas_file"])


def test_a_missing_library_is_named():
    environment = {**os.environ, "THREEGATE_LIBRARY": "/nowhere/libthreegate.so.1"}
    failed = subprocess.run([sys.executable, "-c", "import threegate"], env=environment, capture_output=True, text=True)
    assert failed.returncode != 0
    assert re.search("ImportError: libthreegate.so.1 cannot be loaded: /nowhere.*THREEGATE_LIBRARY", failed.stderr)


def test_contexts():
    with Context(threads=2) as context:
        assert context.threads == 2
    context.close()
    with pytest.raises(ValueError, match="closed"):
        context.threads
    with pytest.raises(ValueError, match="options.threads is -1"):
        Context(threads=-1)
    with pytest.raises(ValueError, match="'gpu'"):
        Context(device="gpu")
    if capabilities()["cuda_devices"] == 0:
        with pytest.raises(NotImplementedError, match="CUDA is not available"):
            Context(device="cuda")


def test_a_forked_process_has_contexts_of_its_own():
    script = """
import os, numpy as np, threegate
ones = np.ones((300, 300), np.float32)
assert threegate.diff(ones, ones).changed == 0
context = threegate.Context(threads=2)
child = os.fork()
if child == 0:
    assert threegate.diff(ones, 2 * ones).changed == ones.size
    try:
        context.threads
    except RuntimeError as error:
        assert "after the fork" in str(error)
        context.close()
        os._exit(7)
    os._exit(1)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
"""
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)
