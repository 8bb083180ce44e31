"use strict";
(() => {
  const read = (id) => JSON.parse(document.getElementById(id).textContent);
  const specs = read("specs"), datasets = read("datasets");
  for (const [name, { columns, rows }] of Object.entries(datasets)) {
    datasets[name] = rows.map((row) => Object.fromEntries(row.map((value, i) => [columns[i], value])));
  }
  const views = {};

  // The expressions are interpreted, so that the page needs no leave to run code made from text.
  const options = { renderer: "svg", ast: true, actions: { export: true, source: false, compiled: false, editor: false } };

  async function draw(place, name, values) {
    const params = (specs[name].params || []).map((p) => (p.name in values ? { ...p, value: values[p.name] } : p));
    views[place]?.finalize();
    views[place] = await vegaEmbed("#chart-" + place, { ...specs[name], datasets: { ...specs[name].datasets, ...datasets }, params }, options);
    return views[place].view.runAsync();
  }

  const signal = (place, name, value) => views[place].view.signal(name, value).runAsync();

  const legend = [...document.querySelectorAll(".legend button")];
  const shown = () => legend.filter((b) => b.getAttribute("aria-pressed") === "true").map((b) => b.dataset.method);
  for (const button of legend) {
    button.addEventListener("click", () => {
      button.setAttribute("aria-pressed", String(button.getAttribute("aria-pressed") !== "true"));
      signal("frontier", "shown", shown());
    });
  }

  const axis = () => document.querySelector("input[name=axis]:checked").value;
  const drawFrontier = () => draw("frontier", "frontier-" + axis(), { shown: shown() });
  for (const radio of document.querySelectorAll("input[name=axis]")) radio.addEventListener("change", drawFrontier);

  const drawn = [drawFrontier()];
  for (const [select, places] of [["layers", ["layers"]], ["curves", ["curves-accuracy", "curves-loss"]]]) {
    const element = document.getElementById("select-" + select);
    if (!element) continue;
    for (const place of places) drawn.push(draw(place, place, { method: element.value }));
    element.addEventListener("change", () => places.map((place) => signal(place, "method", element.value)));
  }
  Promise.all(drawn).then(() => document.documentElement.setAttribute("data-drawn", ""));

  function sort(heading) {
    const row = heading.parentElement, column = [...row.children].indexOf(heading);
    const down = heading.getAttribute("aria-sort") === "ascending";
    for (const other of row.children) other.setAttribute("aria-sort", "none");
    heading.setAttribute("aria-sort", down ? "descending" : "ascending");
    const body = heading.closest("table").tBodies[0];
    const key = (tr) => {
      const cell = tr.cells[column];
      return "v" in cell.dataset ? Number(cell.dataset.v) : cell.textContent.trim();
    };
    const compare = (a, b) => {
      if (typeof a === "number" && typeof b === "number") return a - b;
      return String(a).localeCompare(String(b), "en", { numeric: true });
    };
    const rows = [...body.rows].map((tr) => [key(tr), tr]);
    const empty = rows.filter(([k]) => k === "");
    const full = rows.filter(([k]) => k !== "").sort(([a], [b]) => (down ? compare(b, a) : compare(a, b)));
    body.append(...full.concat(empty).map(([, tr]) => tr));
  }
  for (const heading of document.querySelectorAll(".sortable thead th")) {
    heading.addEventListener("click", () => sort(heading));
  }
})();
