"""Reads the machine code that nvcc keeps next to its objects (cmake/keep_machine_code), without NVIDIA's disassembler. A cubin is an ELF
file. Its instructions have 128 bits, with the opcode in the lowest nine. Opcodes were found by compiling kernels that have one of them."""
import collections
import pathlib
import re
import struct
import subprocess

BYTES = 16
LANES = 32
# With the address space known and not, and asynchronous copies to shared memory.
COPY_TO_SHARED = 0x1AE
LOADS = (0x180, 0x181, COPY_TO_SHARED)
STORES = (0x185, 0x186)
BRANCH, CALLS, INDIRECT, EXIT, RETURN = 0x147, (0x143, 0x144), (0x149, 0x14A, 0x14C), 0x14D, 0x150
MATRIX, WARPGROUP_MATRIX = 0x03C, 0x1F0
LOCAL_MEMORY = (0x183, 0x187)
# Stores, atomic operations and copies. Atomic operations on an address of unknown space contain others, which never run.
WRITES_SHARED_MEMORY = (0x188, 0x18C, COPY_TO_SHARED, 0x1B4, 0x1BA)
# The units of an instruction. Those that are not listed here add, compare, shift or select integers.
UNITS = {
    # Sums of float16 and float32, which are conversions of float16, too, have the rate of float32.
    "float32": (0x020, 0x021, 0x023, 0x030, 0x031, 0x035),
    "float64": (0x028, 0x029, 0x02A, 0x02B),
    "multiplications": (0x024, 0x025, 0x026, 0x027),
    "conversions": (0x100, 0x104, 0x105, 0x106, 0x108, 0x109, 0x110, 0x111, 0x112, 0x113),
    "loads and stores": (0x03B, *LOADS, *STORES, *LOCAL_MEMORY, 0x184, 0x188, 0x189, 0x18A, 0x18B, 0x18C, 0x18D, 0x18E, 0x1A8, 0x1A9, 0x1AA),
    "matrix units": (MATRIX, WARPGROUP_MATRIX),
    # Branches, barriers and reads of constants and of special registers.
    "none": (0x005, 0x118, 0x119, 0x11A, 0x11B, 0x11D, 0x141, 0x142, 0x145, 0x146, BRANCH, 0x148, EXIT, RETURN, 0x182, 0x1AC, 0x1AF,
             0x1B9, 0x1C3, 0x1C4, *CALLS, *INDIRECT),
}
UNIT_OF = {opcode: unit for unit, opcodes in UNITS.items() for opcode in opcodes}
UNIFORM = range(0x080, 0x0D0)
WIDTHS = (1, 1, 2, 2, 4, 8, 16, 32)
MATRIX_FLOP = 2 * 16 * 8 * 16


class Instruction:
    def __init__(self, word, index, architecture):
        self.opcode = word & 0x1FF
        # Lanes that diverge leave the common path here.
        self.diverges = word & 0xFFF == 0x947 and word >> 91 & 1 == 1
        self.conditional = word >> 12 & 0xF != 7 or (self.opcode == BRANCH and (word >> 87 & 7 != 7 or word >> 91 & 1 == 1))
        self.target = None
        if self.opcode == BRANCH or self.opcode in CALLS:
            offset = word >> 34 & (1 << 48) - 1
            offset -= offset >> 47 << 48
            self.target = index + 1 + ((offset << 8 | word >> 16 & 0xFF) if architecture >= 90 else offset) * 4 // BYTES
        width = LANES * WIDTHS[word >> 73 & 7]
        if self.opcode == COPY_TO_SHARED and architecture >= 100:
            width = LANES * (4 << (word >> 74 & 3))
        self.loaded = width if self.opcode in LOADS else 0
        self.stored = width if self.opcode in STORES else 0
        # A product of a warpgroup is 64 x 8 (n + 1) x 16, and a fourth of it belongs to each warp.
        self.flop = {MATRIX: MATRIX_FLOP, WARPGROUP_MATRIX: 4096 * ((word >> 53 & 0x1F) + 1)}.get(self.opcode, 0)

    @property
    def unit(self):
        return "none" if self.opcode in UNIFORM else UNIT_OF.get(self.opcode, "integers")



class Path:
    """The instructions on a way round a loop, and what they do for the 32 lanes of a warp."""

    def __init__(self, instructions, work):
        self.length = len(instructions)
        self.work = sum(map(work_of(work), instructions))
        copied = sum(i.loaded for i in instructions if i.opcode == COPY_TO_SHARED)
        self.loaded = copied or (self.work if work.startswith("bytes") else sum(i.loaded for i in instructions))
        self.stored = sum(i.stored for i in instructions)
        self.flop = sum(i.flop for i in instructions)
        self.of_warpgroups = any(i.opcode == WARPGROUP_MATRIX for i in instructions)
        self.units = collections.Counter(i.unit for i in instructions)




def work_of(name):
    """What an instruction contributes to the work of a kernel: flop of a kind of unit, or bytes that are loaded. `bytes/16` counts loads of
    16 bytes a lane only, so that reads of arguments are not taken for the data."""
    kind, _, width = name.partition("/")
    if kind == "bytes":
        return lambda i: i.loaded if not width or i.loaded == LANES * int(width) else 0
    return {"matrix": lambda i: i.flop, "float32": lambda i: 2 * LANES * (i.opcode == 0x023),
            "float64": lambda i: 2 * LANES * (i.opcode == 0x02B)}[kind]


class Loop:
    """A loop, or a whole kernel without one."""

    def __init__(self, kernel, blocks, header, whole=False):
        self.kernel, self.blocks, self.header, self.whole = kernel, blocks, header, whole
        self.instructions = [i for block in sorted(blocks) for i in kernel.block(block)]
        self.bytes = BYTES * len(self.instructions)

    def calls(self):
        return sorted(self.kernel.name_at(i.target) for i in self.instructions if i.opcode in CALLS)

    def _ends(self, block):
        return self.kernel.block(block)[-1].opcode == EXIT if self.whole else self.header in self.kernel.successors(block)

    def _forward(self):
        """The blocks in an order in which edges lead forward, and the edges into each. Edges back to loops within are left out."""
        done, seen, open_blocks, into = [], {self.header}, {self.header}, collections.defaultdict(list)
        stack = [(self.header, iter(self.kernel.successors(self.header)))]
        while stack:
            block, left = stack[-1]
            following = next(left, None)
            if following is None:
                stack.pop()
                open_blocks.discard(block)
                done.append(block)
            elif following in self.blocks and following not in open_blocks:
                into[following].append(block)
                if following not in seen:
                    seen.add(following)
                    open_blocks.add(following)
                    stack.append((following, iter(self.kernel.successors(following))))
        return done[::-1], into

    def common_path(self, work):
        """A way round, through loops within at most once. If the work is the bytes that are loaded, it is the way with the fewest
        instructions for them, so that rare cases are not on it. Otherwise it is the shortest way that does all of the work, and loads
        something if any does."""
        does, adds = work_of(work), not work.startswith("bytes")
        copies = any(i.opcode == COPY_TO_SHARED for i in self.instructions)
        order, into = self._forward()
        # For each block: (work, whether it loads) of a way to its end -> (instructions, block before, its key).
        best, ends = {}, {}
        for block in order:
            own = self.kernel.block(block)
            gain = (sum(map(does, own)), adds and any(i.opcode == COPY_TO_SHARED if copies else i.loaded for i in own))
            before = [((0, False), 0, None)] if block == self.header else [(k, w[0], o) for o in into[block] for k, w in best[o].items()]
            best[block] = {}
            for key, length, other in before:
                new = (key[0] + gain[0], key[1] or gain[1])
                if new not in best[block] or length + len(own) < best[block][new][0]:
                    best[block][new] = (length + len(own), other, key)
            if self._ends(block):
                for key, way in best[block].items():
                    if key not in ends or way[0] < ends[key][0]:
                        ends[key] = (way[0], block)
        if not ends:
            return Path([], work)
        if not adds:
            key = min(ends, key=lambda k: (ends[k][0] / k[0] if k[0] else float("inf"), ends[k][0]))
        else:
            key = max(ends, key=lambda k: (k, -ends[k][0]))
        block, blocks = ends[key][1], []
        while block is not None:
            blocks.append(block)
            _, block, key = best[block][key]
        return Path([i for b in reversed(blocks) for i in self.kernel.block(b)], work)


class Kernel:
    def __init__(self, mangled, architecture, code, symbols):
        self.mangled, self.architecture, self.symbols = mangled, architecture, symbols
        self.registers = self.static_shared = self.stack = self.threads = 0
        self.instructions = [Instruction(int.from_bytes(code[at:at + BYTES], "little"), at // BYTES, architecture)
                             for at in range(0, len(code), BYTES)]
        self._divide()

    def _divide(self):
        """Divides the code into basic blocks."""
        leaders = {0}
        for index, i in enumerate(self.instructions):
            if i.opcode == BRANCH:
                leaders |= {i.target, index + 1}
            elif i.opcode in (EXIT, RETURN) + INDIRECT:
                leaders.add(index + 1)
        count = len(self.instructions)
        self._begins = sorted(leader for leader in leaders if 0 <= leader < count)
        self._ends = dict(zip(self._begins, self._begins[1:] + [count]))
        self._successors = {}
        for begin, end in self._ends.items():
            last = self.instructions[end - 1]
            after = []
            if last.opcode == BRANCH and not last.diverges and 0 <= last.target < count:
                after.append(last.target)
            if last.conditional or last.opcode not in (BRANCH, EXIT, RETURN) + INDIRECT:
                after += [end] if end < count else []
            self._successors[begin] = after

    def block(self, begin):
        return self.instructions[begin:self._ends[begin]]

    def successors(self, begin):
        return self._successors[begin]

    def name_at(self, index):
        """The name of a function that is called, such as a 64-bit division."""
        name = self.symbols.get(index * BYTES, "a function")
        return name.rpartition("$")[2]

    def uses_local_memory(self):
        return self.stack > 0 or any(i.opcode in LOCAL_MEMORY for i in self.instructions)

    def uses_dynamic_shared_memory(self):
        """Whether it has none of its own and uses some; a kernel with both is not found."""
        return self.static_shared == 0 and any(i.opcode in WRITES_SHARED_MEMORY for i in self.instructions)

    def loops(self):
        """All loops, the ones within others included."""
        found, work = [], [(set(self._begins), None)]
        while work:
            blocks, without = work.pop()
            for group in self._cycles(blocks - {without}):
                entered = {after for b in self._begins if b not in group for after in self._successors[b] if after in group}
                header = min(entered or group)
                found.append(Loop(self, group, header))
                work.append((group, header))
        return found

    def _cycles(self, blocks):
        """Strongly connected components with a cycle, by Tarjan's algorithm without recursion."""
        index, low, on_stack, stack, result = {}, {}, set(), [], []
        for root in sorted(blocks):
            if root in index:
                continue
            work = [(root, iter(self._successors[root]))]
            index[root] = low[root] = len(index)
            stack.append(root)
            on_stack.add(root)
            while work:
                block, left = work[-1]
                following = next((s for s in left if s in blocks), None)
                if following is None:
                    work.pop()
                    if work:
                        low[work[-1][0]] = min(low[work[-1][0]], low[block])
                    if low[block] == index[block]:
                        group = set()
                        while block not in group:
                            group.add(stack.pop())
                        on_stack -= group
                        if len(group) > 1 or block in self._successors[block]:
                            result.append(group)
                elif following not in index:
                    index[following] = low[following] = len(index)
                    stack.append(following)
                    on_stack.add(following)
                    work.append((following, iter(self._successors[following])))
                elif following in on_stack:
                    low[block] = min(low[block], index[following])
        return result

    def hot_loop(self, work):
        """The loop that does the most work a pass, or one within it that does at least half of that. Without a loop, the whole kernel."""
        # The last instruction of the code is a branch to itself.
        able = [(loop.common_path(work).work, loop) for loop in self.loops()
                if loop.bytes > BYTES and any(map(work_of(work), loop.instructions))]
        able = [(value, loop) for value, loop in able if value]
        if not able:
            return Loop(self, set(self._begins), 0, True)
        value, hot = max(able, key=lambda pair: (pair[0], -pair[1].bytes))
        while True:
            within = [(v, loop) for v, loop in able if loop.blocks < hot.blocks and 2 * v >= value]
            if not within:
                return hot
            hot = max(within, key=lambda pair: (pair[0], -pair[1].bytes))[1]


def _string(data, at):
    return data[at:data.index(b"\0", at)].decode()


def _records(data):
    """The records of a section .nv.info: (attribute, payload)."""
    at = 0
    while at < len(data):
        form, attribute, size = struct.unpack_from("<BBH", data, at)
        at += 4
        if form == 4:
            yield attribute, data[at:at + size]
            at += size


def read(path):
    """The kernels of a cubin."""
    data = path.read_bytes()
    begin, = struct.unpack_from("<Q", data, 0x28)
    count, of_names = struct.unpack_from("<HH", data, 0x3C)
    architecture = struct.unpack_from("<I", data, 0x30)[0] >> 8 & 0xFF
    headers = [struct.unpack_from("<IIQQQQIIQQ", data, begin + 64 * i) for i in range(count)]
    sections = {}
    for number, (name, kind, _, _, at, size, *_) in enumerate(headers):
        sections[_string(data, headers[of_names][4] + name)] = (number, size, data[at:at + size] if kind != 8 else b"")
    names, table = sections[".strtab"][2], sections[".symtab"][2]
    symbols, functions = [], collections.defaultdict(dict)
    for at in range(0, len(table), 24):
        name, kind, _, section, value, _ = struct.unpack_from("<IBBHQQ", table, at)
        symbols.append(_string(names, name))
        if kind & 0xF == 2:
            functions[section][value] = symbols[-1]
    kernels = {}
    for name, (number, _, code) in sections.items():
        properties = sections.get(".nv.info." + name[6:])
        if name.startswith(".text.") and properties:
            kernel = kernels[name[6:]] = Kernel(name[6:], architecture, code, functions[number])
            # Without __launch_bounds__ a launch may have all threads of a block.
            kernel.threads = next((struct.unpack_from("<I", own)[0] for attribute, own in _records(properties[2]) if attribute == 0x05), 1024)
            # Since compute capability 9.0 the system has one of these kilobytes.
            shared = sections.get(".nv.shared." + name[6:], (0, 0))[1]
            kernel.static_shared = max(0, shared - (1024 if architecture >= 90 else 0))
    for attribute, own in _records(sections[".nv.info"][2]):
        if attribute in (0x2F, 0x11):
            symbol, value = struct.unpack_from("<II", own)
            kernel = kernels.get(symbols[symbol])
            if kernel and attribute == 0x2F:
                kernel.registers = value
            elif kernel:
                kernel.stack = value
    return list(kernels.values())


class Limits:
    """What a multiprocessor offers: kilobytes of shared memory for all blocks, and threads and blocks."""
    SHARED = {80: 164, 90: 228, 100: 228}
    REGISTERS, THREADS, BLOCKS = 65536, 2048, 32


def blocks_per_multiprocessor(kernel, dynamic_shared):
    warps = -(-kernel.threads // LANES)
    registers = -(-kernel.registers * LANES // 256) * 256 * warps
    # The system takes a kilobyte of each block.
    shared = -(-(kernel.static_shared + dynamic_shared) // 128) * 128 + 1024
    return min(Limits.BLOCKS, Limits.THREADS // (warps * LANES), Limits.REGISTERS // registers,
               Limits.SHARED[kernel.architecture] * 1024 // shared)


def plain_names(kernels):
    """Names as in the source, without namespaces and arguments."""
    listed = "\n".join(k.mangled for k in kernels)
    plain = subprocess.run(["c++filt", "--no-params"], input=listed, capture_output=True, text=True, check=True).stdout.splitlines()
    return [p.replace("threegate::cuda::", "").replace("(anonymous namespace)::", "").replace("(int)", "") for p in plain]


def kernels_of(build):
    """The kernels of a build by plain name and architecture. Objects of sources that are gone do not count."""
    build = pathlib.Path(build)
    objects = re.findall(r" -o (\S+/threegate_cuda(?:_warpgroup)?\.dir/\S+\.cu\.o)", (build / "compile_commands.json").read_text())
    folders = [build / f"{name}.cubins" for name in objects]
    kernels = [k for folder in sorted(folders) for path in sorted(folder.glob("*.cubin")) for k in read(path)]
    return dict(zip(zip(plain_names(kernels), (k.architecture for k in kernels)), kernels))


class Budget:
    """A line of kernel_budgets.tsv: what a kernel works on, and what it may need at most."""
    COLUMNS = ["kernel", "work", "dynamic shared memory", *(f"blocks, {a}" for a in ("8.0", "9.0", "10.0")), "exceptions"]
    ARCHITECTURES = (80, 90, 100)

    def __init__(self, line=None, name=None, work="bytes"):
        fields = line.split("\t") if line else [name, work, "0", "0", "0", "0"]
        self.name, self.work, self.shared = fields[0], fields[1], int(fields[2])
        self.blocks = [int(field) for field in fields[3:6]]
        self.exceptions = dict(part.rsplit(" ", 1) for part in fields[6].split(", ")) if len(fields) > 6 and fields[6] else {}

    def allowed(self, exception):
        return int(self.exceptions.get(exception, 0))

    @property
    def counted(self):
        """Kernels that wait, such as for barriers, are read by their arithmetic."""
        return "float64" if self.work == "latency" else self.work

    def __str__(self):
        return "\t".join([self.name, self.work, str(self.shared), *map(str, self.blocks),
                          ", ".join(f"{name} {value}" for name, value in self.exceptions.items() if int(value))]).rstrip("\t")


TABLE = pathlib.Path(__file__).with_name("kernel_budgets.tsv")


def budgets(table=TABLE):
    return {b.name: b for b in (Budget(line) for line in table.read_text().splitlines()[1:])}
