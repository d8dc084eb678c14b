"""Finds the CUDA libraries that came with Python packages, such as those that torch uses. As a program it prints their directories."""
import importlib.util
import pathlib
import sys


def directories():
    """The directories with CUDA libraries in the packages of NVIDIA and of torch, wherever this Python has them."""
    found = {}
    for package in filter(None, map(importlib.util.find_spec, ("nvidia", "torch"))):
        for place in package.submodule_search_locations or []:
            for file in sorted(pathlib.Path(place).rglob("libcu*.so*")):
                found.setdefault(file.parent)
    return list(found)


def find(name):
    """The path of a library, or its bare name for the search of the system."""
    return str(next((d / name for d in directories() if (d / name).exists()), name))


if __name__ == "__main__":
    for directory in directories():
        print(directory)
    if not directories():
        print(f"{sys.executable} has no CUDA libraries", file=sys.stderr)
