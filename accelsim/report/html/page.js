"use strict";
// Tables that sort and can be searched, the theme, and the section that the reader is in. Without scripts the page still shows all of it.
(() => {
  const value = (row, column) => {
    const cell = row.cells[column];
    return cell.dataset.v === undefined ? null : Number(cell.dataset.v);
  };
  const words = (row, column) => row.cells[column].textContent.trim();
  const compare = (column, number) => (a, b) => {
    if (!number) return words(a, column).localeCompare(words(b, column), "en", { numeric: true });
    return value(a, column) - value(b, column);
  };
  const sortBy = (table, head, column) => {
    const number = head.classList.contains("number");
    const body = table.tBodies[0];
    const before = head.getAttribute("aria-sort");
    // numbers begin with the largest, words with the first; a third press brings the first order back
    const order = number ? ["descending", "ascending", "none"] : ["ascending", "descending", "none"];
    const now = order[(order.indexOf(before) + 1) % 3];
    for (const other of table.tHead.rows[0].cells) other.setAttribute("aria-sort", "none");
    head.setAttribute("aria-sort", now);
    let rows = [...body.rows].sort((a, b) => a.dataset.place - b.dataset.place);
    if (now !== "none") {
      const known = rows.filter((row) => !number || value(row, column) !== null);
      const unknown = rows.filter((row) => number && value(row, column) === null);
      const less = compare(column, number);
      known.sort((a, b) => (now === "ascending" ? less(a, b) : less(b, a)));
      rows = known.concat(unknown); // what is not known stays last, whichever way
    }
    body.append(...rows);
  };
  for (const table of document.querySelectorAll("table[data-sortable]")) {
    [...table.tBodies[0].rows].forEach((row, place) => { row.dataset.place = place; });
    [...table.tHead.rows[0].cells].forEach((head, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...head.childNodes);
      button.addEventListener("click", () => sortBy(table, head, column));
      head.setAttribute("aria-sort", "none");
      head.append(button);
    });
  }
  for (const find of document.querySelectorAll("input.find")) {
    find.hidden = false;
    find.addEventListener("input", () => {
      const wanted = find.value.trim().toLowerCase();
      for (const row of find.nextElementSibling.querySelector("tbody").rows) row.hidden = !row.textContent.toLowerCase().includes(wanted);
    });
  }
  const root = document.documentElement;
  const dark = () => (root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches);
  const theme = document.createElement("button");
  theme.type = "button";
  theme.id = "theme";
  const named = () => {
    theme.textContent = dark() ? "☀" : "☾";
    theme.setAttribute("aria-label", dark() ? "light colours" : "dark colours");
    document.dispatchEvent(new Event("themed"));
  };
  theme.addEventListener("click", () => { root.dataset.theme = dark() ? "light" : "dark"; named(); });
  document.querySelector(".top .controls").append(theme);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", named);
  named();
  addEventListener("beforeprint", () => { for (const part of document.querySelectorAll("details")) part.open = true; });
  const links = new Map([...document.querySelectorAll(".top nav a")].map((link) => [link.hash.slice(1), link]));
  const seen = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      if (!entry.isIntersecting) continue;
      for (const link of links.values()) link.removeAttribute("aria-current");
      const link = links.get(entry.target.id);
      link.setAttribute("aria-current", "true");
      link.parentElement.scrollTo({ left: link.offsetLeft - link.parentElement.offsetLeft - 40 });
    }
  }, { rootMargin: "-80px 0px -75% 0px" });
  for (const section of document.querySelectorAll("main > section")) if (links.has(section.id)) seen.observe(section);
})();
