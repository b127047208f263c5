// Makes charts of the figures that templates/_plots.html writes, with the page's colours. Their data is in data-plot (see
// market/plots.py); each figure's table stays, behind a fold. Drawn on canvas: ECharts' SVG and HTML tooltips would write
// style attributes, which the content security policy refuses.
import { BarChart, HeatmapChart, LineChart, ScatterChart } from "echarts/charts";
import { GridComponent, LegendPlainComponent, MarkLineComponent, TooltipComponent, VisualMapContinuousComponent } from "echarts/components";
import * as echarts from "echarts/core";
import { CanvasRenderer } from "echarts/renderers";

echarts.use([
  BarChart, HeatmapChart, LineChart, ScatterChart, GridComponent, LegendPlainComponent, MarkLineComponent, TooltipComponent,
  VisualMapContinuousComponent, CanvasRenderer,
]);

const COLOURS = ["--accent", "--wait", "--ok", "--soft"];
// So that lines are told apart without colours too.
const DASHES = ["solid", "dashed", "dotted", "solid"];
const SYMBOLS = ["circle", "rect", "triangle", "diamond"];
const ROW = 34; // pixels of a lying bar with its gap

const still = matchMedia("(prefers-reduced-motion: reduce)");
const dark = matchMedia("(prefers-color-scheme: dark)");
const charts = new Map();

const number = (value, percent) =>
  value === null || value === undefined ? "–" : percent ? `${Math.round(value * 1000) / 10}%` : `${Math.round(value * 1000) / 1000}`;

function option(plot) {
  const style = getComputedStyle(document.documentElement);
  const token = (name) => style.getPropertyValue(name).trim();
  const body = getComputedStyle(document.body);
  const size = parseFloat(body.fontSize);
  const text = { color: token("--soft"), fontFamily: body.fontFamily, fontSize: size * 0.8125 };
  const told = (value) => number(value, plot.percent);
  const lines = { lineStyle: { color: token("--line") } };
  const valueAxis = (name) => ({
    type: "value", name, nameTextStyle: text, min: plot.least, max: plot.most, splitLine: lines,
    axisLabel: { ...text, formatter: told },
  });
  const categoryAxis = (name) => ({
    type: "category", name, nameTextStyle: text, data: plot.categories, inverse: Boolean(plot.sideways),
    axisTick: { show: false }, axisLine: { lineStyle: { color: token("--edge") } },
    axisLabel: { ...text, hideOverlap: !plot.sideways, interval: plot.sideways ? 0 : "auto" },
  });
  const across = { nameLocation: "middle", nameGap: size * 2.2 };
  let [x, y] = plot.sideways ? [valueAxis(plot.x), categoryAxis(plot.y)] : [categoryAxis(plot.x), valueAxis(plot.y)];
  if (plot.kind === "heatmap") return heat(plot, { token, text, told });
  if (plot.kind === "scatter") [x, y] = [valueAxis(plot.x), valueAxis(plot.y)];
  const several = plot.series.length > 1;
  // Room for the legend; for the name of the upright axis, or those of marks on lying bars.
  const above = (several ? 2.2 : 0.6) + (plot.y || (plot.sideways && plot.marks) ? 1.6 : 0);
  return {
    animation: !still.matches,
    animationDuration: 120,
    color: COLOURS.map(token),
    textStyle: text,
    grid: { left: 4, right: 16, top: size * above, bottom: plot.x ? size * 1.8 : 4, containLabel: true },
    legend: several ? { top: 0, left: 0, textStyle: text, itemGap: 16 } : undefined,
    tooltip: {
      renderMode: "richText", trigger: plot.kind === "scatter" ? "item" : "axis", confine: true,
      backgroundColor: token("--paper"), borderColor: token("--edge"), textStyle: { ...text, color: token("--ink") },
      formatter: plot.kind === "scatter" ? ({ value }) => `${plot.x} ${told(value[0])}\n${plot.y} ${told(value[1])}\n${value[2]}` : undefined,
      valueFormatter: told,
    },
    xAxis: { ...x, ...across },
    yAxis: y,
    series: plot.series.map((one, at) => series(plot, one, at, { token, text, told })),
  };
}

// Rows down, columns across, each cell with its figure: colour alone tells nothing to some.
function heat(plot, { token, text, told }) {
  const [one] = plot.series;
  const values = one.points.map(([, , value]) => value);
  const most = Math.max(...values, 1);
  const axis = (data, more) => ({ type: "category", data, axisTick: { show: false }, axisLine: { show: false }, splitLine: { show: false }, ...more });
  return {
    animation: false,
    textStyle: text,
    grid: { left: 4, right: 8, top: text.fontSize * 2.4, bottom: 4, containLabel: true },
    tooltip: {
      renderMode: "richText", confine: true, backgroundColor: token("--paper"), borderColor: token("--edge"),
      textStyle: { ...text, color: token("--ink") },
      formatter: ({ value: [x, y, value] }) => `${plot.rows[y]} · ${plot.categories[x]}\n${one.name} ${told(value)}`,
    },
    xAxis: axis(plot.categories, { position: "top", axisLabel: { ...text, color: token("--ink"), interval: 0 } }),
    yAxis: axis(plot.rows, { inverse: true, axisLabel: { ...text, color: token("--ink"), interval: 0, width: 110, overflow: "truncate" } }),
    visualMap: {
      show: false, min: 0, max: most,
      inRange: { color: plot.calm ? [token("--surface"), token("--accent-wash"), token("--accent")] : plot.scarce ? [token("--bad"), token("--bad-wash"), token("--surface")] : [token("--surface"), token("--bad-wash"), token("--bad")] },
    },
    series: [{
      type: "heatmap", name: one.name, itemStyle: { borderColor: token("--paper"), borderWidth: 2 },
      data: one.points.map((point) => {
        const strong = plot.scarce ? point[2] < most * 0.2 : point[2] > most * 0.8;
        return { value: point, label: { color: strong ? token("--paper") : token("--ink") } };
      }),
      label: { ...text, show: true, formatter: ({ value }) => told(value[2]) },
    }],
  };
}

function series(plot, one, at, { token, text, told }) {
  const marks = at > 0 ? [] : [
    ...(plot.marks ?? []).map(({ name, at }) => ({ name, [plot.sideways ? "xAxis" : "yAxis"]: at })),
    ...(plot.diagonal ? [[{ name: plot.diagonal, coord: Array(2).fill(plot.least ?? 0) }, { coord: Array(2).fill(plot.most ?? 1) }]] : []),
  ];
  const drawn = {
    type: plot.kind,
    name: one.name,
    data: one.values ?? one.points,
    markLine: marks.length ? {
      silent: true, symbol: "none", data: marks, animation: false,
      lineStyle: { color: token("--edge"), type: "dashed" },
      label: { ...text, formatter: "{b}", position: plot.sideways ? "start" : "insideEndTop" },
    } : undefined,
  };
  if (plot.kind === "line") {
    const short = drawn.data.length < 40;
    return { ...drawn, symbol: SYMBOLS[at], symbolSize: 7, showSymbol: short, lineStyle: { width: 2, type: DASHES[at] } };
  }
  if (plot.kind === "bar") {
    const label = plot.series.length === 1 && { show: true, position: plot.sideways ? "right" : "top", formatter: ({ value }) => told(value) };
    return { ...drawn, barMaxWidth: 22, itemStyle: { borderRadius: 2 }, label: label ? { ...text, ...label } : undefined };
  }
  const most = Math.max(...one.points.map(([, , weight]) => weight), 1);
  return { ...drawn, symbolSize: ([, , weight]) => 8 + 20 * Math.sqrt(weight / most), itemStyle: { opacity: 0.75 } };
}

function draw(figure) {
  const plot = JSON.parse(figure.dataset.plot);
  const canvas = document.createElement("div");
  canvas.className = "plot-chart";
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", figure.querySelector("figcaption").innerText);
  if (plot.rows) canvas.style.height = `${plot.rows.length * ROW + 48}px`;
  if (plot.sideways) canvas.style.height = `${plot.categories.length * ROW * Math.min(plot.series.length, 2) + 80}px`;
  figure.querySelector("figcaption").after(canvas);
  const table = figure.querySelector("details");
  if (table) table.open = false;
  const chart = echarts.init(canvas);
  chart.setOption(option(plot));
  charts.set(chart, plot);
  new ResizeObserver(() => chart.resize()).observe(canvas);
}

for (const figure of document.querySelectorAll("figure[data-plot]")) draw(figure);

for (const query of [dark, still]) {
  query.addEventListener("change", () => {
    for (const [chart, plot] of charts) chart.setOption(option(plot), true);
  });
}
