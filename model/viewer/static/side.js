"use strict";
// What stands beside the panels: legend, what was clicked, and about. Names become text, never HTML.

const $ = (id) => document.getElementById(id);

function element(tag, text = "", attributes = {}, ...children) {
  const made = Object.assign(document.createElement(tag), attributes);
  if (text) made.textContent = text;
  made.append(...children);
  return made;
}

// Do what makes elements anew, and keep the keyboard where it was.
function keepingFocus(remake) {
  const key = document.activeElement?.dataset.key;
  remake();
  if (key) document.querySelector(`[data-key="${key}"]`)?.focus();
}

const percent = (share) => `${(100 * share).toFixed(share < 0.0995 ? 1 : 0)} %`;

function shares(label) {
  const count = new Float64Array(256);
  for (let i = 0; i < label.length; i++) count[label[i]]++;
  return count.map((each) => each / label.length);
}

// Classes that occur, with those of the first panel of classes in front, to switch on and off.
function showLegend(meta, points, state, changed) {
  points.shares ??= points.label.map(shares);
  $("legend").replaceChildren();
  meta.palettes.forEach((palette, p) => {
    const layers = meta.layers.map((layer, n) => n).filter((n) => meta.layers[n].palette === p);
    const first = state.panels.find((n) => layers.includes(n)) ?? layers[0];
    const occurs = (k) => layers.some((n) => points.shares[n][k] > 0);
    const classes = [...palette.classes.keys(), NONE].filter(occurs);
    classes.sort((a, b) => points.shares[first][b] - points.shares[first][a]);
    const keys = classes.map((k) => `${p}-${k}`);
    const list = element("ul");
    const set = (off) => {
      for (const key of keys) off(key) ? state.off.add(key) : state.off.delete(key);
      changed();
    };
    for (const k of classes) {
      const key = `${p}-${k}`;
      const box = element("input", "", { type: "checkbox", checked: !state.off.has(key) });
      box.dataset.key = `class ${key}`;
      box.addEventListener("change", () => set((each) => each === key ? !box.checked : state.off.has(each)));
      const swatch = element("i");
      swatch.style.backgroundColor = palette.colors[k] || "#000000";
      const name = element("span", k === NONE ? "no class" : palette.classes[k]);
      const only = element("button", "only", { type: "button", title: "show only this class" });
      only.addEventListener("click", () => set((each) => each !== key));
      list.append(element("li", "", {}, element("label", "", {}, box, swatch, name),
        only, element("small", percent(points.shares[first][k]))));
    }
    const all = element("button", "all", { type: "button" });
    const none = element("button", "none", { type: "button" });
    all.addEventListener("click", () => set(() => false));
    none.addEventListener("click", () => set(() => true));
    const head = element("h2", "Classes ", {}, all, none);
    const of = element("p", `Share of the points by ${meta.layers[first].name}.`, { className: "note" });
    $("legend").append(head, of, list);
  });
}

function showPicked(meta, points, words, state, changed) {
  const box = $("picked"), i = state.picked;
  box.hidden = i === null;
  if (i === null) return;
  const metres = [0, 1, 2].map((c) => (meta.origin[c] + meta.unit * points.position[4 * i + c]).toFixed(2));
  const rows = element("table");
  meta.layers.forEach((layer, n) => {
    if (layer.palette === undefined) return;
    const k = points.label[n][i], sure = points.confidence[n];
    const name = k === NONE ? "no class" : meta.palettes[layer.palette].classes[k];
    rows.append(element("tr", "", {}, element("th", layer.name),
      element("td", name), element("td", sure && k !== NONE ? (sure[i] / 255).toFixed(2) : "")));
  });
  const close = element("button", "×", { type: "button", title: "forget this point" });
  close.addEventListener("click", () => {
    state.picked = null;
    changed();
  });
  box.replaceChildren(element("h2", "Point ", {}, close),
    element("p", `${metres.join(", ")} m; class and confidence:`, { className: "note" }), rows);
  if (!words.networks.length) return;
  const list = element("ol");
  for (const { words: phrase, cosine } of words.nearest(state.network, i, 5)) {
    list.append(element("li", `${phrase} `, {}, element("small", cosine.toFixed(2))));
  }
  const name = words.networks[state.network].name;
  box.append(element("p", `Nearest phrases by ${name}, by cosine:`, { className: "note" }), list);
}

// In what words the network was asked: the first templates with the words in them.
function sentences(templates, words) {
  if (!templates) return "";
  const some = templates.slice(0, 2).map((each) => `“${each.replaceAll("{}", words)}”`).join(", ");
  return templates.length > 2 ? `${some} and ${templates.length - 2} more` : some;
}

function showAbout(meta) {
  const about = $("about"), { shown, all } = meta.points;
  if (shown < all) {
    about.append(element("p", `Of ${all.toLocaleString("en")} points ${shown.toLocaleString("en")} are shown: ` +
      "evenly spaced along a curve through the scan (Z-order), so each part keeps its share."));
  }
  for (const note of meta.notes) about.append(element("p", note));
  for (const { name, about: said, free, phrases } of meta.networks) {
    about.append(element("h3", name));
    const facts = {
      variant: said.variant, voxels: said.voxels, "text tower": said.tower ?? "none",
      weights: said.weights, templates: said.templates?.length > 8 ? sentences(said.templates, "{}") : said.templates?.join("; "),
      "words it knows": free ? "any" : `the ${phrases.length} that the box offers`,
    };
    const list = element("dl");
    for (const [term, text] of Object.entries(facts)) {
      if (text) list.append(element("dt", term), element("dd", String(text)));
    }
    about.append(list);
  }
  about.append(element("p", "Drag or one finger turns, right button, Shift or two fingers move, wheel or two " +
    "fingers zoom. Keys, with the points in focus: arrows, Shift + arrows, + and -, 0 for the whole scan, " +
    "t from above. A click says what is known of a point. The address of the page brings this view back."));
}
