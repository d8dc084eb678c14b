"""device_results.py FOLDER...: joins the figures of calls of ci/gpu, of which each left a folder, into bench/results/<gpu>-<date>.json, and
prints the ratios to peers. Calls that were cut short left the figures that they had."""
import json
import pathlib
import re
import sys

RESULTS = pathlib.Path(__file__).resolve().parent.parent / "results"


def rows(path):
    return [line.split("\t") for line in path.read_text().splitlines() if line.count("\t") >= 1] if path.exists() else []


def ratios(values):
    """How many times as long a peer takes, and the target."""
    found = {}

    def add(name, peer, own, target):
        if peer in values and own in values:
            found[name] = {"ratio": values[peer] / values[own], "target": target}

    for peer in (name for name in values if name.startswith("peer svd, ")):
        add(f"{peer} / threegate", peer, "svd, rank 64, seconds", 10 if "lowrank" in peer else 20)
    for shape in ("4096 x 4096", "11008 x 4096"):
        add(f"torch.topk / threegate, {shape}", f"peer mask, {shape}", f"mask, {shape}, rank 64, half, seconds", 3)
    patch = "patch of 2^29 bf16, 1 % changed"
    add(f"torch nonzero / threegate, {patch}", f"peer {patch}", f"{patch}, extract, seconds", 2)
    return found


def main():
    folders = [pathlib.Path(argument) for argument in sys.argv[1:]]
    about = {row[0]: row[1] for folder in folders for row in rows(folder / "about.tsv")}
    figures = {row[0]: {"what": row[0], "value": float(row[1]), "unit": row[2]} for f in folders for row in rows(f / "figures.tsv")}
    if not about or not figures:
        sys.exit(f"no figures in {', '.join(map(str, folders))}")
    known = ratios({name: figure["value"] for name, figure in figures.items()})
    name = re.sub(r"[^a-z0-9-]", "", about["gpu"].lower().replace(" ", "-"))
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}-{about['date']}.json"
    path.write_text(json.dumps({**about, "figures": list(figures.values()), "ratios": known}, indent=1) + "\n")
    print(json.dumps(known, indent=1))
    print(path)


main()
