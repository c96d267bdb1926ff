// The list of classes with names, colours and shares of pixels. A click highlights a class.

import { share } from "./result.js";

const byId = (id) => document.getElementById(id);

/** Returns { update, chosen }; calls `onChoice` when the set of highlighted classes changes. */
export function makeLegend({ names, palette }, onChoice) {
  const chosen = new Set();
  const list = byId("legend");
  const showAll = byId("show-all");
  const showAbsent = byId("show-absent");
  let absentShown = false;
  let counts;

  const entries = names.map((name, label) => {
    const [item, button, swatch, title, bar, fill, text] = [
      "li", "button", "span", "span", "span", "i", "span",
    ].map((kind) => document.createElement(kind));
    button.type = "button";
    button.setAttribute("aria-pressed", "false");
    swatch.className = "swatch";
    swatch.style.backgroundColor = `rgb(${palette[label]})`;
    title.className = "name";
    title.textContent = name;
    bar.className = "bar";
    bar.append(fill);
    text.className = "share";
    button.append(swatch, title, " ", text, bar);
    button.addEventListener("click", () => {
      if (!chosen.delete(label)) chosen.add(label);
      changed();
    });
    item.append(button);
    return { item, button, fill, text };
  });
  list.append(...entries.map(({ item }) => item));

  function changed() {
    entries.forEach(({ button }, label) =>
      button.setAttribute("aria-pressed", String(chosen.has(label))));
    showAll.hidden = !chosen.size;
    onChoice();
  }
  showAll.addEventListener("click", () => {
    chosen.clear();
    changed();
    list.querySelector("button").focus();
  });
  showAbsent.addEventListener("click", () => {
    absentShown = !absentShown;
    arrange();
  });

  // With more than 12 classes, classes that are not in the image are hidden, because the others
  // would be hard to find. Chosen classes are always shown, so that the user can deselect them.
  function arrange() {
    const isAbsent = (label) => counts && !counts[label] && !chosen.has(label);
    const absent = names.filter((_, label) => isAbsent(label)).length;
    const folds = absent > 0 && names.length > 12;
    entries.forEach(({ item }, label) => (item.hidden = folds && !absentShown && isAbsent(label)));
    showAbsent.hidden = !folds;
    showAbsent.setAttribute("aria-expanded", String(absentShown));
    showAbsent.textContent = absentShown ? "Hide the classes that are not in the image"
      : `Show ${absent} ${absent === 1 ? "class" : "classes"} not in the image`;
  }

  // With `keepOrder`, which the camera uses, entries do not move under the pointer. Otherwise, they
  // are sorted by their share, unless one of them has the keyboard focus.
  function update(result, keepOrder) {
    counts = result.counts;
    entries.forEach(({ item, fill, text }, label) => {
      fill.style.width = `${(100 * counts[label]) / result.labels.length}%`;
      text.textContent = share(counts[label], result.labels);
      item.classList.toggle("absent", !counts[label]);
    });
    if (!keepOrder && !list.contains(document.activeElement)) {
      const order = names.map((_, label) => label).sort((a, b) => counts[b] - counts[a]);
      list.append(...order.map((label) => entries[label].item));
    }
    arrange();
  }

  return { update, chosen };
}
