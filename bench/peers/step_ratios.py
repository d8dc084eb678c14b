"""step_ratios.py DIRECTORY JSON: merges the outputs own-N and peer-N of StepBench and step_peers.py, and prints their ratios.

The first run of each process also allocates the state of the optimizer. Runs after it are compared by their medians.
"""
import json
import os
import platform
import statistics
import sys

import torch
import transformers

directory, out = sys.argv[1:]
runs = {"own": [], "peer": []}
for side, own in runs.items():
    for name in sorted(os.listdir(directory)):
        if name.startswith(side + "-"):
            process = {"sampling": [], "update": []}
            for line in open(os.path.join(directory, name)):
                what, *values = line.split()
                if what == "peak":
                    process["peakBytes"] = int(values[0])
                else:
                    process[what].append({"seconds": float(values[0]), "processorSeconds": float(values[1])})
            own.append(process)


def median(side, what, key):
    return statistics.median(run[key] for process in runs[side] for run in process[what][1:])


ratios = {}
print("# what, seconds of threegate, of transformers and torch, ratio, processor seconds of both, ratio")
for what in ("update", "sampling"):
    wall = [median(side, what, "seconds") for side in ("own", "peer")]
    used = [median(side, what, "processorSeconds") for side in ("own", "peer")]
    ratios[what] = {"seconds": wall[1] / wall[0], "processorSeconds": used[1] / used[0]}
    print(f"{what}\t{wall[0]:.2f}\t{wall[1]:.2f}\t{wall[1] / wall[0]:.2f}\t{used[0]:.2f}\t{used[1]:.2f}\t{used[1] / used[0]:.2f}")
peak = [max(process["peakBytes"] for process in runs[side]) for side in ("own", "peer")]
ratios["peakBytes"] = peak[1] / peak[0]
print(f"peak\t{peak[0] / 1e9:.2f} GB\t{peak[1] / 1e9:.2f} GB\t{peak[1] / peak[0]:.2f}")
processor = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), platform.machine())
document = {"processor": processor, "threads": 2, "torch": torch.__version__, "transformers": transformers.__version__,
            "ratios": ratios, "runs": runs}
with open(out, "w") as file:
    json.dump(document, file, indent=1)
    file.write("\n")
