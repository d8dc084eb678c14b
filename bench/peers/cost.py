#!/usr/bin/env python3
"""cost.py LOG COMMAND...: runs a command, and prints its seconds, its processor seconds, and its largest resident memory in bytes: all of
it, and the part that is not mapped from files."""

import resource
import subprocess
import sys
import time

begin = time.monotonic()
with open(sys.argv[1], "wb") as log:
    process = subprocess.Popen(sys.argv[2:], stdout=log, stderr=log)
    own = 0
    # The kernel keeps no maximum of anonymous memory, so it is sampled.
    while process.poll() is None:
        try:
            with open(f"/proc/{process.pid}/status") as status:
                fields = dict(line.split(":", 1) for line in status)
            own = max(own, 1024 * int(fields.get("RssAnon", "0 kB").split()[0]))
        except (OSError, ValueError):
            pass
        time.sleep(0.01)
seconds = time.monotonic() - begin
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(f"{seconds:.3f}\t{used.ru_utime + used.ru_stime:.3f}\t{1024 * used.ru_maxrss}\t{own}")
sys.exit(process.returncode)
