// Adds the choices to the page: working sizes and examples.

const byId = (id) => document.getElementById(id);

/** Adds a radio button for each size and returns the initial size. */
export function addSizes(sizes, onChange) {
  for (const size of sizes) {
    const label = document.createElement("label");
    const input = document.createElement("input");
    const text = document.createElement("span");
    input.type = "radio";
    input.name = "size";
    input.checked = size.chosen;
    input.addEventListener("change", () => onChange(size));
    text.textContent = size.longSide ?? "Original";
    label.append(input, text);
    byId("size-choices").append(label);
  }
  return sizes.find(({ chosen }) => chosen);
}

/** Adds a button with a thumbnail for each example. */
export function addExamples(examples, onChoice) {
  byId("examples-section").hidden = !examples.length;
  for (const example of examples) {
    const item = document.createElement("li");
    const button = document.createElement("button");
    const image = document.createElement("img");
    button.type = "button";
    image.src = example.thumbnail;
    image.alt = `Use the example ${example.name}`;
    button.append(image);
    button.addEventListener("click", () => onChoice(example));
    item.append(button);
    byId("examples").append(item);
  }
}
