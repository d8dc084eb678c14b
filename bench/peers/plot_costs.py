#!/usr/bin/env python3
"""plot_costs.py TABLE SVG: plots the processor seconds of ci/bench-costs on one processor against the bytes that a command reads, both
logarithmic."""

import math
import sys

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 820, 420, 60, 280, 20, 50
COLOURS = ["#3366cc", "#dc3912", "#109618", "#ff9900", "#990099", "#0099c6", "#dd4477", "#66aa00", "#7a4a12"]

lines = {}
with open(sys.argv[1]) as table:
    for row in table:
        if row.startswith(("#", "size\t")):
            continue
        size, _, command, processors, size_bytes, _, seconds = row.rstrip("\n").split("\t")[:7]
        if processors == "1":
            lines.setdefault(command, []).append((float(size_bytes), float(seconds)))
xs = [x for points in lines.values() for x, _ in points]
ys = [y for points in lines.values() for _, y in points]
low_x, high_x = math.floor(math.log10(min(xs))), math.ceil(math.log10(max(xs)))
low_y, high_y = math.floor(math.log10(min(ys))), math.ceil(math.log10(max(ys)))


def at(x, y):
    return (
        LEFT + (math.log10(x) - low_x) / max(1, high_x - low_x) * (WIDTH - LEFT - RIGHT),
        HEIGHT - BOTTOM - (math.log10(y) - low_y) / max(1, high_y - low_y) * (HEIGHT - TOP - BOTTOM),
    )


def text(x, y, words, anchor="middle"):
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{words}</text>'


out = [
    f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="12">',
    f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
    "<title>Processor seconds of each command by the bytes that it reads</title>",
]
for power in range(low_x, high_x + 1):
    x, _ = at(10.0**power, 10.0**low_y)
    out.append(f'<path d="M{x:.1f} {TOP}V{HEIGHT - BOTTOM}" stroke="#ddd"/>')
    out.append(text(x, HEIGHT - BOTTOM + 16, f"{10.0 ** (power - 9):g} GB"))
for power in range(low_y, high_y + 1):
    _, y = at(10.0**low_x, 10.0**power)
    out.append(f'<path d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}" stroke="#ddd"/>')
    out.append(text(LEFT - 6, y + 4, f"{10.0**power:g} s", "end"))
out.append(text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 12, "bytes read, one processor; processor seconds"))
for number, (command, points) in enumerate(lines.items()):
    colour = COLOURS[number % len(COLOURS)]
    places = [at(*point) for point in sorted(points)]
    out.append(f'<polyline points="{" ".join(f"{x:.1f},{y:.1f}" for x, y in places)}" fill="none" stroke="{colour}" stroke-width="2"/>')
    out.extend(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in places)
    out.append(f'<rect x="{WIDTH - RIGHT + 16}" y="{TOP + 22 * number}" width="12" height="12" fill="{colour}"/>')
    out.append(text(WIDTH - RIGHT + 34, TOP + 22 * number + 11, command, "start"))
out.append("</svg>")
with open(sys.argv[2], "w") as svg:
    svg.write("\n".join(out) + "\n")
