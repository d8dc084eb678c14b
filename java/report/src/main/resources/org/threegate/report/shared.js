"use strict";
// Whatever would be parsed as HTML becomes the text that it is; where a browser has no such policy, nothing here parses any.
if (window.trustedTypes) trustedTypes.createPolicy("default", { createHTML: s => s.replace(/[&<>]/g, c => "&#" + c.charCodeAt(0) + ";") });
// The plotting library keeps names as keys of objects, where those that every object has, such as __proto__, would break it.
const plain = name => name in {} ? " " + name : name;
const data = JSON.parse(document.getElementById("data").textContent, (key, value) => typeof value === "string" ? plain(value) : value);
const byId = id => document.getElementById(id);
const text = (parent, tag, content, cls) => { const e = document.createElement(tag); e.textContent = content; if (cls) e.className = cls; parent.appendChild(e); return e; };
const fixed = (x, d) => x === null || x === undefined ? "–" : x.toFixed(d);
const expo = x => x === null || x === undefined ? "–" : x.toExponential(2);
const many = x => x.toLocaleString("en");
const charts = [];
const plotIn = element => { const c = echarts.init(element); charts.push(c); return c; };
const chart = id => plotIn(byId(id));
// Names are as long as a file says.
const short = name => { const all = [...name]; return all.length > 40 ? all.slice(0, 24).join("") + "…" + all.slice(-15).join("") : name; };
// What a file says is text in the nodes of a tooltip; the plotting library would take a string for HTML.
const tip = lines => { const e = document.createElement("div"); e.className = "tip"; lines.forEach(line => text(e, "div", line)); return e; };
const pointTip = lines => ({ formatter: p => tip(lines(p)) });
const axisTip = shown => ({ trigger: "axis", formatter: points => {
  const own = points.filter(p => p.seriesType !== "custom"), e = tip(own.length ? [own[0].axisValueLabel] : []);
  for (const p of own) {
    const row = text(e, "div", "", "row");
    text(row, "i", "").style.background = p.color;
    text(row, "span", p.seriesName.includes("\0") ? "" : p.seriesName); // ours have a name, the library's an unseen character
    text(row, "b", shown(Array.isArray(p.value) ? p.value[1] : p.value));
  }
  return e;
} });
addEventListener("resize", () => charts.forEach(c => c.resize()));

for (const f of data.findings) {
  byId("findings").hidden = false;
  const row = text(byId("findingsBody"), "div", "", "finding");
  text(row, "span", f.verdict.replaceAll("-", " "), "verdict " + f.verdict);
  text(row, "span", f.text);
}

// How much was compared, and which tensors of each side were not.
function covered(coverage, end, sides) {
  byId("coverage").textContent = many(coverage.entries.compared) + " of " + many(coverage.entries.all) + " entries in " + many(coverage.weights.compared) + " of " + many(coverage.weights.all) + " tensors " + end + ". " + (coverage.caveat || "");
  for (const [who, side] of sides) for (const [list, notes] of [["unmatched", side.unmatched], ["refused", side.refused], ["left out", side.leftOut]]) if (notes.length) {
    byId("missing").hidden = false;
    text(byId("missingBody"), "p", who + ", " + list + " (" + notes.length + "): " + notes.map(note => note.tensor + " (" + note.reason + ")").join(", "), "note");
  }
}

function cellMap(target, x, cells, title, label) {
  target.getDom().hidden = !cells;
  if (!cells) { target.clear(); return; }
  target.resize();
  const raw = atob(cells.cells), values = [];
  let top = 0;
  for (let k = 0; k < raw.length; k++) { const v = raw.charCodeAt(k) / 255; top = Math.max(top, v); values.push([k % cells.columns, Math.floor(k / cells.columns), v]); }
  target.setOption({
    title: { text: title + " (" + cells.rows + " × " + cells.columns + " cells)", textStyle: { fontSize: 13 } },
    tooltip: pointTip(p => [label + p.value[2].toFixed(3)]),
    grid: { left: 55, right: 80, top: 40, bottom: 40 },
    xAxis: { type: "category", name: "column", nameLocation: "middle", nameGap: 22, axisLabel: { formatter: v => Math.round(v * x.shape[1] / cells.columns) } , data: [...Array(cells.columns).keys()] },
    yAxis: { type: "category", inverse: true, name: "row", data: [...Array(cells.rows).keys()], axisLabel: { formatter: v => Math.round(v * x.shape[0] / cells.rows) } },
    visualMap: { min: 0, max: top || 1, right: 0, top: "center", precision: 2, calculable: true, inRange: { color: ["#ffffff", "#9ecae1", "#08519c"] } },
    series: [{ type: "heatmap", data: values, progressive: 0 }]
  }, true);
}
const palette = ["#1f6feb", "#d1570a", "#1a7f37", "#8250df", "#bf3989", "#0a7e8c", "#9a6700", "#57606a", "#cf222e"];
