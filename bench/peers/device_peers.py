"""Measures torch and cuSOLVER on the device with matrices like those of threegate_bench_device: a flat bulk and eight spikes. Prints,
tab-separated: name, value, unit. SVD times are for all matrices of a 7B model, extrapolated from one matrix of each shape."""
import ctypes
import sys
import time

import torch

DEVICE = "cuda"
RANK, TOLERANCE = 64, 1e-5
# The number of matrices of each shape in 32 layers.
COUNTS = {(4096, 4096): 128, (11008, 4096): 96}


def timed(body, runs=3):
    body()
    times = []
    for _ in range(runs):
        torch.cuda.synchronize()
        begin = time.perf_counter()
        body()
        torch.cuda.synchronize()
        times.append(time.perf_counter() - begin)
    return sorted(times)[runs // 2]


def matrix(rows, columns):
    a = 0.02 * torch.randn(rows, columns, device=DEVICE)
    edge = 0.02 * (rows**0.5 + columns**0.5)
    for spike in range(1, 9):
        u = torch.sign(torch.randn(rows, device=DEVICE)) / rows**0.5
        v = torch.sign(torch.randn(columns, device=DEVICE)) / columns**0.5
        a += spike * edge * torch.outer(u, v)
    return a.bfloat16().float()


def residual(a, u, s, v):
    """Returns the residual as the certificate defines it: the largest of both sides, relative to the largest singular value."""
    left = (a @ v - u * s).norm(dim=0).max()
    right = (a.T @ u - v * s).norm(dim=0).max()
    return float(torch.maximum(left, right) / s[0])


class Gesvdr:
    """The randomised SVD of cuSOLVER, which torch does not offer: cusolverDnXgesvdr of CUDA 13, called through its C signature."""

    FLOAT32 = 0
    OVERSAMPLING = 32

    def __init__(self):
        self.library = ctypes.CDLL("libcusolver.so.12")
        self.handle, self.parameters = ctypes.c_void_p(), ctypes.c_void_p()
        self.check(self.library.cusolverDnCreate(ctypes.byref(self.handle)))
        self.check(self.library.cusolverDnCreateParams(ctypes.byref(self.parameters)))

    @staticmethod
    def check(status):
        if status != 0:
            raise RuntimeError(f"cuSOLVER failed with status {status}")

    def __call__(self, a, iterations):
        rows, columns = a.shape
        matrix = a.T.contiguous()  # column-major; it is overwritten
        s = torch.empty(RANK, device=DEVICE)
        u = torch.empty(RANK, rows, device=DEVICE)
        v = torch.empty(RANK, columns, device=DEVICE)
        info = torch.zeros(1, dtype=torch.int32, device=DEVICE)
        kind, size, pointer = ctypes.c_int(self.FLOAT32), ctypes.c_int64, lambda t: ctypes.c_void_p(t.data_ptr())
        arguments = [self.handle, self.parameters, ctypes.c_byte(ord("S")), ctypes.c_byte(ord("S")), size(rows), size(columns), size(RANK),
                     size(self.OVERSAMPLING), size(iterations), kind, pointer(matrix), size(rows), kind, pointer(s), kind, pointer(u),
                     size(rows), kind, pointer(v), size(columns), kind]
        on_device, on_host = ctypes.c_size_t(), ctypes.c_size_t()
        self.check(self.library.cusolverDnXgesvdr_bufferSize(*arguments, ctypes.byref(on_device), ctypes.byref(on_host)))
        device = torch.empty(on_device.value + 1, dtype=torch.uint8, device=DEVICE)
        host = ctypes.create_string_buffer(on_host.value + 1)
        torch.cuda.current_stream().synchronize()
        self.check(self.library.cusolverDnXgesvdr(*arguments, pointer(device), on_device, host, on_host, pointer(info)))
        torch.cuda.synchronize()
        return u.T, s, v.T


def enough_iterations(method, a):
    """Returns the smallest power of two of iterations that reaches the tolerance, or None if 512 do not."""
    iterations = 2
    while iterations <= 512:
        if residual(a, *method(a, iterations)) <= TOLERANCE:
            return iterations
        iterations *= 2
    return None


def lowrank(a, iterations):
    u, s, v = torch.svd_lowrank(a, q=RANK + 32, niter=iterations)
    return u[:, :RANK], s[:RANK], v[:, :RANK]


def main():
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.manual_seed(0)
    size = 8192
    x = torch.randn(size, size, device=DEVICE, dtype=torch.bfloat16)
    y = torch.randn(size, size, device=DEVICE, dtype=torch.bfloat16)
    print(f"bf16 matrix rate\t{2 * size**3 / timed(lambda: x @ y, 10):.6g}\tflop/s", flush=True)
    del x, y
    totals = {}
    for (rows, columns), count in COUNTS.items():
        a = matrix(rows, columns)
        for driver in ("gesvd", "gesvdj", "gesvda"):
            try:
                seconds = timed(lambda: torch.linalg.svd(a, full_matrices=False, driver=driver), 1)
            except RuntimeError as error:
                print(f"{driver} of {rows} x {columns}: {str(error).splitlines()[0]}", file=sys.stderr)
                continue
            totals.setdefault(f"cuSOLVER {driver}", []).append(count * seconds)
        for name, make in (("torch.svd_lowrank", lambda: lowrank), ("cuSOLVER gesvdr", Gesvdr)):
            try:
                method = make()
                iterations = enough_iterations(method, a)
                if iterations is None:
                    print(f"{name} of {rows} x {columns} does not reach {TOLERANCE} in 512 iterations", file=sys.stderr)
                    continue
                print(f"peer iterations of {name}, {rows} x {columns}\t{iterations}\t", flush=True)
                totals.setdefault(name, []).append(count * timed(lambda: method(a, iterations)))
            except (AttributeError, OSError, RuntimeError) as error:
                print(f"{name} of {rows} x {columns}: {str(error).splitlines()[0]}", file=sys.stderr)
        u = torch.randn(rows, RANK, device=DEVICE)
        v = torch.randn(columns, RANK, device=DEVICE)

        def topk():
            scores = (u @ v.T).abs().flatten()
            mask = torch.zeros(scores.shape, dtype=torch.bool, device=DEVICE)
            mask[torch.topk(scores, scores.numel() // 2, sorted=False).indices] = True
            return mask.cpu()

        print(f"peer mask, {rows} x {columns}\t{timed(topk):.6g}\ts", flush=True)
    for name, parts in totals.items():
        if len(parts) == len(COUNTS):
            print(f"peer svd, {name}\t{sum(parts):.6g}\ts", flush=True)


def patch():
    """Extracts the positions and new bits of the changed ones of 2^29 bf16 numbers, which are 1 %."""
    before = torch.randint(-(2**15), 2**15, (2**29,), dtype=torch.int16, device=DEVICE)
    after = before ^ (torch.rand(2**29, device=DEVICE) < 0.01).to(torch.int16)

    def extract():
        positions = (before != after).nonzero().flatten()
        return positions.to(torch.int32), after[positions]

    print(f"peer patch of 2^29 bf16, 1 % changed\t{timed(extract):.6g}\ts", flush=True)


main()
patch()
