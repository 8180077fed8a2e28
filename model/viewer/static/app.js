"use strict";
// The page: its state, what is drawn when, and what the controls do.

const PART = 100000, FEWEST = 10000; // points that are drawn at a time

// Boxes of `count` panels that fill the width and height, as large as they get.
function boxes(count, width, height) {
  let best = 1;
  const side = (columns) => Math.min(width / columns, height / Math.ceil(count / columns));
  for (let columns = 2; columns <= count; columns++) if (side(columns) > side(best)) best = columns;
  const rows = Math.ceil(count / best), gap = 2;
  return Array.from({ length: count }, (_, n) => {
    const row = Math.floor(n / best), across = Math.min(best, count - row * best);
    const wide = (width - gap * (across - 1)) / across, high = (height - gap * (rows - 1)) / rows;
    return { x: (n - row * best) * (wide + gap), y: row * (high + gap), width: wide, height: high };
  });
}

async function start() {
  const meta = JSON.parse($("meta").textContent);
  const arrays = await unpack(meta, $("data").textContent);
  $("data").remove();
  const points = readPoints(meta, arrays), words = new Words(meta, arrays, points);
  const canvas = $("canvas"), drawing = new Drawing(canvas, meta, points, arrays.ramp);
  const camera = new Camera(meta.size, meta.most), height = meta.size[2];
  const state = {
    panels: [...meta.panels], off: new Set(), words: meta.words, negatives: [], network: meta.ask,
    threshold: null, cut: null, size: 1, picked: null,
  };
  const stats = { first: null, full: null, frames: 0, drawn: 0, still: false };
  let asked = null, asking = 0, moving = true, rest = 0, wanted = false, busy = false, saving = 0;
  let budget = Math.min(points.count, PART), done = 0, fresh = true; // points that are drawn at a time

  const cut = () => state.cut ?? meta.ceiling ?? Infinity;
  const pointSize = () => 1.6 * state.size;
  const layout = () => {
    const found = boxes(state.panels.length, canvas.clientWidth, canvas.clientHeight);
    return state.panels.map((panel, n) => {
      const kind = panel === "h" ? (!asked ? COLOR : state.threshold === null ? HEAT : MASK) : panel ? CLASS : COLOR;
      return { ...found[n], kind, layer: panel === "h" ? 0 : panel };
    });
  };

  // While the view moves, as many points are drawn as take a 20th of a second. At rest all of them,
  // in parts, so that a slow machine follows the next movement soon.
  function frame() {
    wanted = false;
    const begin = performance.now(), resting = !moving, all = resting ? points.count : Math.round(budget);
    const first = fresh ? 0 : done, count = Math.min(all - first, Math.max(PART, Math.round(budget)));
    const wider = resting ? 1 : Math.min(2.5, Math.sqrt(points.count / all)); // against holes
    fresh = false;
    drawing.draw(layout(), camera, { cut: cut(), size: wider * pointSize(), first, count });
    done = first + count;
    const complete = done === all;
    if (complete) show(all);
    drawing.whenDone(() => {
      const share = Math.max(0.5, Math.min(1.5, 50 / (performance.now() - begin)));
      if (!resting) budget = Math.max(FEWEST, Math.min(points.count, budget * share));
      busy = false;
      stats.frames++;
      if (complete && stats.first === null) {
        stats.first = performance.now();
        moved(); // to come to rest
      }
      if (complete && resting) stats.full ??= performance.now();
      stats.still = complete && resting && !wanted;
      if (!complete || wanted) next();
    });
  }
  function show(count) {
    drawing.show();
    stats.drawn = count;
    $("wait").hidden = true;
    const panels = layout();
    $("titles").querySelectorAll("b").forEach((ring, n) => {
      const box = panels[n], place = state.picked !== null && drawing.place(state.picked, box.width, box.height, camera);
      ring.hidden = !place || place[0] < 0 || place[1] < 0 || place[0] > box.width || place[1] > box.height;
      if (!ring.hidden) Object.assign(ring.style, { left: `${place[0]}px`, top: `${place[1]}px` });
    });
  }
  function next() {
    if (busy) return;
    busy = true;
    requestAnimationFrame(frame);
  }
  function redraw() {
    wanted = fresh = true;
    stats.still = false;
    next();
    clearTimeout(saving);
    saving = setTimeout(() => {
      try { history.replaceState(null, "", "#" + toFragment(state, camera)); } catch { /* sandboxed */ }
    }, 250);
  }
  function moved() {
    moving = true;
    clearTimeout(rest);
    rest = setTimeout(() => { moving = false; redraw(); }, 180);
    redraw();
  }

  function changed() {
    meta.palettes.forEach(({ colors }, p) => drawing.setPalette(p, colors, (k) => !state.off.has(`${p}-${k}`)));
    keepingFocus(() => {
      showLegend(meta, points, state, changed);
      showPicked(meta, points, words, state, changed);
      showControls();
    });
    redraw();
  }

  function showControls() {
    const names = new Map(meta.layers.map((layer, n) => [n, layer.name]));
    if (meta.networks.length) names.set("h", "heat");
    $("layers").replaceChildren(...[...names].map(([panel, name]) => {
      const button = element("button", name, { type: "button" });
      button.dataset.key = `panel ${panel}`;
      button.setAttribute("aria-pressed", state.panels.includes(panel));
      button.addEventListener("click", () => {
        const order = [...names.keys()], on = new Set(state.panels);
        on.delete(panel) || on.add(panel);
        if (on.size) state.panels = order.filter((each) => on.has(each));
        changed();
      });
      return button;
    }));
    $("titles").replaceChildren(...layout().map((box, n) => {
      const panel = state.panels[n];
      const title = element("span", panel !== "h" ? meta.layers[panel].name
        : asked ? `“${asked.words}” by ${meta.networks[asked.network].name}` : "heat: type words above");
      const made = element("div", "", {}, title, element("b", "", { hidden: true }));
      if (box.kind === HEAT) made.append(element("em", `${asked.low.toFixed(2)} – ${asked.high.toFixed(2)}`));
      Object.assign(made.style, { left: `${box.x}px`, top: `${box.y}px`, width: `${box.width}px`, height: `${box.height}px` });
      return made;
    }));
    const mask = state.threshold !== null;
    $("mask").checked = mask;
    $("mask").disabled = !asked;
    $("threshold").disabled = !mask;
    if (asked && mask) {
      $("threshold").value = 1000 * (state.threshold - asked.least) / Math.max(asked.greatest - asked.least, 1e-9);
      $("least").value = `${state.threshold.toFixed(3)}: ${percent(shareAbove(asked, state.threshold))} of points`;
    } else $("least").value = "";
    $("cut").value = Math.round(1000 * Math.min(1, cut() / height));
    $("height").value = cut() < height ? `${cut().toFixed(2)} m` : "nothing";
    $("size").value = Math.round(10 * state.size);
    $("network").value = state.network;
    if (document.activeElement !== $("words")) $("words").value = state.words;
    if (document.activeElement !== $("negatives")) $("negatives").value = state.negatives.join(", ");
  }

  function showHeat() {
    if (asked) drawing.setHeat(heatOfPoints(asked, state.threshold));
    changed();
  }

  const best = () => asked.negatives.length ? 0 : asked.high; // the threshold to begin with

  // Ask in the words of the state, whose threshold stays unless it is to be that of a new query.
  async function ask(anew = false) {
    const number = ++asking;
    $("said").textContent = "";
    if (!state.words || !meta.networks.length) {
      asked = null;
      state.threshold = null;
      return changed();
    }
    try {
      const found = await words.ask(state.network, state.words, state.negatives);
      if (number !== asking) return;
      asked = found;
      if (anew && state.threshold !== null) state.threshold = best();
      if (!state.panels.includes("h")) state.panels.push("h");
      const { about, name } = meta.networks[asked.network];
      const not = state.negatives.length ? ", less the highest of those with what it shall not be" : "";
      $("said").textContent = `Cosine of the embeddings by ${name} with ` +
        `${sentences(about.templates, asked.words) || `“${asked.words}”`}${not}; text tower: ${about.tower ?? "none"}. ` +
        "From black to yellow: 2nd to 98th percentile of this scan, so the ramp shows where the words fit best, not whether they do.";
      showHeat();
    } catch (error) {
      if (number !== asking) return;
      $("said").textContent = error.message;
      changed();
    }
  }

  function restore() {
    if (location.hash.length > 1) fromFragment(location.hash.slice(1), state, camera, meta);
    if (!state.panels.length) state.panels = [...meta.panels];
    return ask();
  }

  $("query").addEventListener("submit", (event) => {
    event.preventDefault();
    state.words = $("words").value.trim();
    state.negatives = $("negatives").value.split(",").map((each) => each.trim()).filter(Boolean);
    state.network = Number($("network").value) || 0;
    $("words").blur();
    ask(true);
  });
  $("clear").addEventListener("click", () => {
    Object.assign(state, { words: "", negatives: [], panels: state.panels.filter((panel) => panel !== "h") });
    if (!state.panels.length) state.panels = [...meta.panels];
    ask();
  });
  $("mask").addEventListener("change", () => {
    state.threshold = $("mask").checked ? best() : null;
    showHeat();
  });
  $("threshold").addEventListener("input", () => {
    state.threshold = asked.least + (asked.greatest - asked.least) * $("threshold").value / 1000;
    showHeat();
  });
  $("cut").addEventListener("input", () => {
    state.cut = $("cut").value / 1000 * height + ($("cut").value >= 1000 ? 1 : 0);
    changed();
  });
  $("size").addEventListener("input", () => {
    state.size = $("size").value / 10;
    redraw();
  });
  $("reset").addEventListener("click", () => { camera.reset(); redraw(); });
  $("top").addEventListener("click", () => { camera.fromAbove(); redraw(); });
  $("copy").addEventListener("click", async () => {
    const link = new URL("#" + toFragment(state, camera), location.href);
    await navigator.clipboard?.writeText(link.href).then(() => "The link is in the clipboard.").catch(() => null)
      .then((said) => { $("said").textContent = said || "The address of this page is the link."; });
  });
  window.addEventListener("hashchange", restore);
  canvas.addEventListener("webglcontextlost", () => {
    $("wait").textContent = "The browser has dropped the picture: load the page again.";
    $("wait").hidden = false;
  });
  steer(canvas, camera, {
    moved,
    lesser: () => Math.min(layout()[0].width, layout()[0].height),
    clicked: (pageX, pageY) => {
      const corner = canvas.getBoundingClientRect(), x = pageX - corner.x, y = pageY - corner.y;
      const box = layout().find((b) => x >= b.x && y >= b.y && x < b.x + b.width && y < b.y + b.height);
      if (!box) return;
      const palette = meta.layers[box.layer].palette, label = points.label[box.layer];
      const visible = (i, z) => z <= cut() && !(box.kind === CLASS && state.off.has(`${palette}-${label[i]}`));
      state.picked = drawing.pick(x - box.x, y - box.y, box.width, box.height, camera, pointSize(), visible);
      changed();
    },
  });
  new ResizeObserver(() => {
    const dense = Math.min(2, window.devicePixelRatio || 1);
    canvas.width = Math.max(1, Math.round(canvas.clientWidth * dense));
    canvas.height = Math.max(1, Math.round(canvas.clientHeight * dense));
    drawing.resize();
    showControls();
    stats.first === null ? redraw() : moved();
  }).observe(canvas);

  const { shown, all } = meta.points;
  $("count").textContent = shown < all
    ? `${shown.toLocaleString("en")} of ${all.toLocaleString("en")} points` : `${all.toLocaleString("en")} points`;
  $("query").hidden = !meta.networks.length;
  $("network").hidden = meta.networks.length < 2;
  $("network").append(...meta.networks.map(({ name }, n) => element("option", name, { value: n })));
  $("words").placeholder = meta.networks.some(({ free }) => free) ? "any words, such as: somewhere to sit" : "the name of a class";
  const known = new Set(meta.networks.flatMap(({ phrases }) => phrases.map(({ words }) => words)));
  $("vocabulary").append(...[...known].map((value) => element("option", "", { value })));
  showAbout(meta);
  await restore();
  return { state, stats, camera, drawing, meta, points, get asked() { return asked; } };
}

// For tests and the console of the browser.
window.viewer = start();
window.viewer.catch((error) => { $("wait").textContent = error.message; });
