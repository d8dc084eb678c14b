"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const byId = id => document.getElementById(id);
const text = (parent, tag, content, cls) => { const e = document.createElement(tag); e.textContent = content; if (cls) e.className = cls; parent.appendChild(e); return e; };
const fixed = (x, d) => x === null || x === undefined ? "–" : x.toFixed(d);
const expo = x => x === null || x === undefined ? "–" : x.toExponential(2);
const many = x => x.toLocaleString("en");
const charts = [];
const chart = id => { const c = echarts.init(byId(id)); charts.push(c); return c; };
addEventListener("resize", () => charts.forEach(c => c.resize()));

for (const f of data.findings) {
  byId("findings").hidden = false;
  const row = text(byId("findingsBody"), "div", "", "finding");
  text(row, "span", f.verdict.replaceAll("-", " "), "verdict " + f.verdict);
  text(row, "span", f.text);
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
    tooltip: { formatter: p => label + p.value[2].toFixed(3) },
    grid: { left: 55, right: 80, top: 40, bottom: 40 },
    xAxis: { type: "category", name: "column", nameLocation: "middle", nameGap: 22, axisLabel: { formatter: v => Math.round(v * x.shape[1] / cells.columns) } , data: [...Array(cells.columns).keys()] },
    yAxis: { type: "category", inverse: true, name: "row", data: [...Array(cells.rows).keys()], axisLabel: { formatter: v => Math.round(v * x.shape[0] / cells.rows) } },
    visualMap: { min: 0, max: top || 1, right: 0, top: "center", precision: 2, calculable: true, inRange: { color: ["#ffffff", "#9ecae1", "#08519c"] } },
    series: [{ type: "heatmap", data: values, progressive: 0 }]
  }, true);
}
const palette = ["#1f6feb", "#d1570a", "#1a7f37", "#8250df", "#bf3989", "#0a7e8c", "#9a6700", "#57606a", "#cf222e"];
