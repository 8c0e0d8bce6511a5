"""The page's only script: a click on a column's head sorts the table. Without it nothing is missing."""

from __future__ import annotations

__all__ = ["SCRIPT"]

SCRIPT = """
"use strict";
const key = (row, at) => row.cells[at].textContent.trim();
const gone = text => text === "" || text === "n/a";
const compare = (a, b) => {
  const x = parseFloat(a), y = parseFloat(b);
  return isNaN(x) || isNaN(y) ? a.localeCompare(b, "en", { numeric: true }) : x - y;
};
for (const table of document.querySelectorAll("table")) {
  const body = table.tBodies[0], heads = table.tHead ? [...table.tHead.rows[0].cells] : [];
  if (body.rows.length < 2) continue;
  heads.forEach((head, at) => {
    const sort = () => {
      const way = head.getAttribute("aria-sort") === "descending" ? 1 : -1;
      for (const other of heads) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", way === 1 ? "ascending" : "descending");
      const rows = [...body.rows].map(row => [key(row, at), row]);
      rows.sort(([a], [b]) => gone(a) - gone(b) || (gone(a) ? 0 : way * compare(a, b)));
      body.append(...rows.map(([, row]) => row));
    };
    head.classList.add("sorts");
    head.tabIndex = 0;
    head.title = "Sort";
    head.addEventListener("click", sort);
    head.addEventListener("keydown", event => {
      if (event.key === "Enter" || event.key === " ") { event.preventDefault(); sort(); }
    });
  });
}
"""
