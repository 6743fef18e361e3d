"use strict";
// What a page can do beyond being read: a theme, sorting, filtering, values under the
// pointer. Without it nothing of the text, the tables or the figures is missing.

const make = (name, of = {}) => Object.assign(document.createElement(name), of);

function theme() {
  const root = document.documentElement;
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const button = make("button", { id: "theme", type: "button" });
  const now = () => root.dataset.theme || (dark.matches ? "dark" : "light");
  const other = () => (now() === "dark" ? "light" : "dark");
  const say = () => (button.textContent = `${other() === "dark" ? "Dark" : "Light"} theme`);
  button.onclick = () => {
    root.dataset.theme = other();
    say();
  };
  dark.addEventListener("change", say);
  document.querySelector("header").append(button);
  say();
}

// The first number of a cell, "<0.1 %" and "−3.1 %" among them; NaN where there is none.
function number(text) {
  const plain = text.replace(/−/g, "-").replace(/(\d),(?=\d{3})/g, "$1").trim();
  const found = /^[<>≈+]*(-?\d+(?:\.\d+)?(?:e-?\d+)?)/.exec(plain);
  return found ? Number(found[1]) : NaN;
}

const words = new Intl.Collator("en", { numeric: true });
const value = (row, column) => row.cells[column].firstChild?.textContent.trim() ?? "";

// Undefined cells stay last in either direction.
function order(rows, column, sign) {
  const texts = new Map(rows.map((row) => [row, value(row, column)]));
  const known = (row) => !["", "–", "—"].includes(texts.get(row));
  const numeric = rows.filter(known).every((row) => !isNaN(number(texts.get(row))));
  return [...rows].sort((a, b) => {
    if (known(a) !== known(b)) return known(a) ? -1 : 1;
    const [one, two] = [texts.get(a), texts.get(b)];
    return sign * (numeric ? number(one) - number(two) : words.compare(one, two)) || 0;
  });
}

function sorting(table) {
  const body = table.tBodies[0];
  const rows = [...body.rows];
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    const button = make("button", { type: "button" });
    button.append(...head.childNodes);
    head.append(button);
    button.onclick = () => {
      const next = { none: "ascending", ascending: "descending" };
      const now = next[head.getAttribute("aria-sort") ?? "none"];
      heads.forEach((one) => one.removeAttribute("aria-sort"));
      if (now) head.setAttribute("aria-sort", now);
      body.append(...(now ? order(rows, column, now === "ascending" ? 1 : -1) : rows));
    };
  });
}

function filter(table) {
  const rows = [...table.tBodies[0].rows];
  const input = make("input", { type: "search" });
  const count = make("span", { role: "status" });
  const label = make("label", { className: "filter" });
  input.oninput = () => {
    const wanted = input.value.toLowerCase().split(/\s+/);
    for (const row of rows) {
      const text = row.textContent.toLowerCase();
      row.hidden = !wanted.every((word) => text.includes(word));
    }
    const shown = rows.filter((row) => !row.hidden).length;
    count.textContent = input.value ? `${shown} of ${rows.length} rows` : "";
  };
  label.append("Show rows with", input, count);
  table.closest("figure").querySelector(".scroll").before(label);
}

// The points of a figure: where they are, and what is told of them.
function points(svg) {
  const found = [];
  for (const line of svg.querySelectorAll("[data-told]")) {
    const [about, ...texts] = line.dataset.told.split("|");
    const uses = [...line.querySelectorAll("use")];
    const path = line.querySelector("g > path")?.getAttribute("d") ?? "";
    const steps = path.matchAll(/[ML] (\S+) (\S+)/g);
    const marks = uses.map((use) => [use.x.baseVal.value, use.y.baseVal.value]);
    const vertices = [...steps].map(([, x, y]) => [Number(x), Number(y)]);
    const places = [marks, vertices].find((one) => one.length === texts.length) ?? [];
    places.forEach(([x, y], i) => found.push({ x, y, about, text: texts[i] }));
  }
  return found;
}

const REACH = 14; // points of the figure, each a 295th of its width

function hover(svg, box) {
  let known;
  const leave = () => (box.hidden = true);
  const move = (event) => {
    known ??= points(svg);
    const at = new DOMPoint(event.clientX, event.clientY);
    const { x, y } = at.matrixTransform(svg.getScreenCTM().inverse());
    let near = REACH, best;
    for (const point of known) {
      const far = Math.hypot(point.x - x, point.y - y);
      if (far < near) [near, best] = [far, point];
    }
    if (!best) return leave();
    box.replaceChildren(make("b", { textContent: best.about }), best.text);
    box.hidden = false;
    box.style.left = 0; // at an edge it would be measured with wrapped words
    const right = document.documentElement.clientWidth - box.offsetWidth - 8;
    box.style.left = `${Math.max(8, Math.min(event.clientX + 12, right))}px`;
    box.style.top = `${event.clientY + (event.clientY < 90 ? 16 : -12 - box.offsetHeight)}px`;
  };
  svg.addEventListener("pointermove", move);
  svg.addEventListener("pointerdown", move);
  svg.addEventListener("pointerleave", leave);
}

theme();
for (const table of document.querySelectorAll("figure.table table")) {
  const rows = table.tBodies[0].rows.length;
  if (rows >= 3) sorting(table);
  if (rows > 12) filter(table);
}
const box = make("div", { id: "told", hidden: true });
document.body.append(box);
for (const svg of document.querySelectorAll("figure svg")) hover(svg, box);
