// Clicking a table header sorts the table by that column. Without JavaScript, nothing is sorted.
for (const table of document.querySelectorAll("table.sortable")) {
  const heads = [...table.tHead.rows[0].cells], body = table.tBodies[0];
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const falling = head.getAttribute("aria-sort") === "ascending";
      const key = row => row.cells[column].dataset.value ?? row.cells[column].textContent;
      const order = (a, b) => key(a).localeCompare(key(b), undefined, {numeric: true});
      const number = row => parseFloat(row.cells[column].dataset.value);
      const compare = (a, b) => {
        const x = number(a), y = number(b);
        return Number.isNaN(x) || Number.isNaN(y) ? order(a, b) : x - y;
      };
      const rows = [...body.rows].sort((a, b) => falling ? compare(b, a) : compare(a, b));
      heads.forEach(other => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", falling ? "descending" : "ascending");
      body.append(...rows);
    });
  });
}
