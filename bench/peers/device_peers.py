"""Measures torch and cuSOLVER on the device with matrices like those of threegate_bench_device: a flat bulk and eight spikes. Prints,
tab-separated: name, value, unit, each line as soon as it is known. SVD times are for all matrices of a 7B model, extrapolated from one
matrix of each shape.

  device_peers.py [--seconds N] [--device cpu] [--share S]

Each group of measurements is a process of its own with its own time, and all together end after N seconds (540): a call into a library
cannot be interrupted otherwise. What took too long is named, and the next group follows. `--device cpu` and `--share`, which shrinks all
sizes, are for tests."""
import argparse
import ctypes
import subprocess
import sys
import threading
import time

import cuda_libraries

RANK, TOLERANCE = 64, 1e-5
# The number of matrices of each shape in 32 layers.
COUNTS = {(4096, 4096): 128, (11008, 4096): 96}
DRIVERS = ("gesvd", "gesvdj", "gesvda")


def emit(name, value, unit):
    print(f"{name}\t{value:.6g}\t{unit}", flush=True)


class Device:
    """Runs on a device of torch."""

    def __init__(self, name):
        import torch
        self.torch, self.name = torch, name
        torch.backends.cuda.matmul.allow_tf32 = False
        torch.manual_seed(0)

    def synchronise(self):
        if self.name == "cuda":
            self.torch.cuda.synchronize()

    def once(self, body):
        self.synchronise()
        begin = time.perf_counter()
        body()
        self.synchronise()
        return time.perf_counter() - begin

    def median(self, body, runs=3):
        body()
        return sorted(self.once(body) for _ in range(runs))[runs // 2]

    def normal(self, *shape, **options):
        return self.torch.randn(*shape, device=self.name, **options)

    def matrix(self, rows, columns):
        torch = self.torch
        a = 0.02 * self.normal(rows, columns)
        edge = 0.02 * (rows**0.5 + columns**0.5)
        for spike in range(1, 9):
            u = torch.sign(self.normal(rows)) / rows**0.5
            v = torch.sign(self.normal(columns)) / columns**0.5
            a += spike * edge * torch.outer(u, v)
        return a.bfloat16().float()


def residual(torch, a, u, s, v):
    """Returns the residual as the certificate defines it: the largest of both sides, relative to the largest singular value."""
    left = (a @ v - u * s).norm(dim=0).max()
    right = (a.T @ u - v * s).norm(dim=0).max()
    return float(torch.maximum(left, right) / s[0])


class Gesvdr:
    """The randomised SVD of cuSOLVER, which torch does not offer: cusolverDnXgesvdr of CUDA 13, called through its C signature."""

    FLOAT32 = 0
    OVERSAMPLING = 32

    def __init__(self, device):
        self.device = device
        self.library = ctypes.CDLL(cuda_libraries.find("libcusolver.so.12"))
        self.handle, self.parameters = ctypes.c_void_p(), ctypes.c_void_p()
        self.check(self.library.cusolverDnCreate(ctypes.byref(self.handle)))
        self.check(self.library.cusolverDnCreateParams(ctypes.byref(self.parameters)))

    @staticmethod
    def check(status):
        if status != 0:
            raise RuntimeError(f"cuSOLVER failed with status {status}")

    def __call__(self, a, iterations):
        torch, place = self.device.torch, self.device.name
        rows, columns = a.shape
        matrix = a.T.contiguous()  # column-major; it is overwritten
        s = torch.empty(RANK, device=place)
        u = torch.empty(RANK, rows, device=place)
        v = torch.empty(RANK, columns, device=place)
        info = torch.zeros(1, dtype=torch.int32, device=place)
        kind, size, pointer = ctypes.c_int(self.FLOAT32), ctypes.c_int64, lambda t: ctypes.c_void_p(t.data_ptr())
        arguments = [self.handle, self.parameters, ctypes.c_byte(ord("S")), ctypes.c_byte(ord("S")), size(rows), size(columns), size(RANK),
                     size(self.OVERSAMPLING), size(iterations), kind, pointer(matrix), size(rows), kind, pointer(s), kind, pointer(u),
                     size(rows), kind, pointer(v), size(columns), kind]
        on_device, on_host = ctypes.c_size_t(), ctypes.c_size_t()
        self.check(self.library.cusolverDnXgesvdr_bufferSize(*arguments, ctypes.byref(on_device), ctypes.byref(on_host)))
        device = torch.empty(on_device.value + 1, dtype=torch.uint8, device=place)
        host = ctypes.create_string_buffer(on_host.value + 1)
        self.device.synchronise()
        self.check(self.library.cusolverDnXgesvdr(*arguments, pointer(device), on_device, host, on_host, pointer(info)))
        self.device.synchronise()
        return u.T, s, v.T


class Lowrank:
    def __init__(self, device):
        self.torch = device.torch

    def __call__(self, a, iterations):
        u, s, v = self.torch.svd_lowrank(a, q=RANK + 32, niter=iterations)
        return u[:, :RANK], s[:RANK], v[:, :RANK]


def quick(device, share):
    """The rate of products, selection of masks, and extraction of changed elements."""
    torch = device.torch
    size = int(8192 * share)
    x, y = (device.normal(size, size, dtype=torch.bfloat16) for _ in range(2))
    emit("bf16 matrix rate", 2 * size**3 / device.median(lambda: x @ y, 10), "flop/s")
    for rows, columns in COUNTS:
        u, v = device.normal(int(rows * share), RANK), device.normal(int(columns * share), RANK)

        def topk():
            scores = (u @ v.T).abs().flatten()
            mask = torch.zeros(scores.shape, dtype=torch.bool, device=device.name)
            mask[torch.topk(scores, scores.numel() // 2, sorted=False).indices] = True
            return mask.cpu()

        emit(f"peer mask, {rows} x {columns}", device.median(topk), "s")
    count = int(2**29 * share * share)
    before = torch.randint(-(2**15), 2**15, (count,), dtype=torch.int16, device=device.name)
    after = before ^ (torch.rand(count, device=device.name) < 0.01).to(torch.int16)

    def extract():
        positions = (before != after).nonzero().flatten()
        return positions.to(torch.int32), after[positions]

    emit("peer patch of 2^29 bf16, 1 % changed", device.median(extract), "s")


def approximate(make, name):
    """A truncated SVD with the smallest power of two of iterations that reaches the tolerance."""

    def run(device, share, rows, columns):
        a, method, iterations = device.matrix(int(rows * share), int(columns * share)), make(device), 2
        while residual(device.torch, a, *method(a, iterations)) > TOLERANCE:
            iterations *= 2
            if iterations > 512:
                raise RuntimeError(f"does not reach {TOLERANCE} in 512 iterations")
        emit(f"peer iterations of {name}, {rows} x {columns}", iterations, "")
        emit(f"peer one svd, {name}, {rows} x {columns}", device.median(lambda: method(a, iterations)), "s")

    return run


def whole(driver):
    def run(device, share, rows, columns):
        linalg = device.torch.linalg
        linalg.svd(device.matrix(256, 128), full_matrices=False, driver=driver)  # loads the library
        a = device.matrix(int(rows * share), int(columns * share))
        emit(f"peer one svd, cuSOLVER {driver}, {rows} x {columns}",
             device.once(lambda: linalg.svd(a, full_matrices=False, driver=driver)), "s")

    return run


METHODS = {"torch.svd_lowrank": (60, approximate(Lowrank, "torch.svd_lowrank")), "cuSOLVER gesvdr": (60, approximate(Gesvdr, "cuSOLVER gesvdr")),
           **{f"cuSOLVER {driver}": (60, whole(driver)) for driver in DRIVERS}}
GROUPS = {"quick": (60, quick), **{f"{name}, {rows} x {columns}": (seconds, lambda device, share, run=run, shape=(rows, columns): run(
    device, share, *shape)) for name, (seconds, run) in METHODS.items() for rows, columns in COUNTS}}


def run_group(name, options):
    if name.startswith("cuSOLVER") and options.device != "cuda":
        sys.exit(f"{name}: needs a GPU")
    try:
        GROUPS[name][1](Device(options.device), options.share)
    except (AttributeError, OSError, RuntimeError) as error:
        sys.exit(f"{name}: {str(error).splitlines()[0]}")


def run_all(options):
    end, times, failed = time.monotonic() + options.seconds, {}, 0
    for name, (seconds, _) in GROUPS.items():
        seconds = min(seconds, end - time.monotonic())
        if seconds <= 0:
            print(f"{name}: no time is left", file=sys.stderr)
            continue
        command = [sys.executable, __file__, "--group", name, "--device", options.device, "--share", str(options.share)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
            cut = threading.Timer(seconds, child.kill)
            cut.start()
            for line in child.stdout:
                print(line, end="", flush=True)
                what, value, _ = line.rstrip("\n").split("\t")
                times[what] = float(value)
            child.wait()
            cut.cancel()
        if child.returncode < 0:
            print(f"{name}: stopped after {seconds:.0f} s", file=sys.stderr)
        failed += not name.startswith("cuSOLVER") and child.returncode != 0
    for name in METHODS:
        parts = [count * times[what] for (rows, columns), count in COUNTS.items()
                 if (what := f"peer one svd, {name}, {rows} x {columns}") in times]
        if len(parts) == len(COUNTS):
            emit(f"peer svd, {name}", sum(parts), "s")
    return 1 if failed else 0


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=540)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--share", type=float, default=1)
    parser.add_argument("--group")
    options = parser.parse_args()
    sys.exit(run_group(options.group, options) if options.group else run_all(options))


main()
