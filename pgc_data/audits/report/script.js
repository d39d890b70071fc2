"use strict";
(() => {
  const root = document.documentElement;
  const button = document.querySelector(".theme");
  const system = matchMedia("(prefers-color-scheme: dark)");
  const dark = () => (root.dataset.theme ? root.dataset.theme === "dark" : system.matches);
  const name = () => { button.textContent = dark() ? "Light theme" : "Dark theme"; };
  button.hidden = false;
  button.addEventListener("click", () => {
    root.dataset.theme = dark() ? "light" : "dark";
    name();
  });
  system.addEventListener("change", name);
  name();

  const key = (row, column) => {
    const cell = row.cells[column];
    const shown = cell.dataset.key ?? cell.textContent.trim();
    const number = Number(shown.replaceAll(",", "").replace(/ %$/, ""));
    return shown === "" || Number.isNaN(number) ? shown : number;
  };
  const order = (a, b) => {
    if (typeof a === "number" && typeof b === "number") return a - b;
    if (typeof a !== typeof b) return typeof a === "number" ? -1 : 1;
    return a.localeCompare(b, undefined, { numeric: true });
  };
  for (const head of document.querySelectorAll("th[aria-sort]")) {
    head.firstElementChild.addEventListener("click", () => {
      const rising = head.ariaSort === "descending" || (head.ariaSort === "none" && head.cellIndex === 0);
      for (const other of head.parentElement.cells) other.ariaSort = "none";
      head.ariaSort = rising ? "ascending" : "descending";
      const body = head.closest("table").tBodies[0];
      const keyed = [...body.rows].map((row) => [key(row, head.cellIndex), row]);
      keyed.sort((a, b) => (rising ? order(a[0], b[0]) : order(b[0], a[0])));
      body.append(...keyed.map((pair) => pair[1]));
    });
  }

  // On paper everything is open.
  let closed = [];
  addEventListener("beforeprint", () => {
    closed = [...document.querySelectorAll("details:not([open])")];
    for (const one of closed) one.open = true;
  });
  addEventListener("afterprint", () => {
    for (const one of closed) one.open = false;
  });
})();
