"use strict";
// The state of the page as the fragment of its address, and back. Whatever cannot be read is left
// as it is.

function toFragment(state, camera) {
  const short = (number) => String(Number(number.toFixed(4)));
  const said = new URLSearchParams({ p: state.panels.join("."), c: camera.state.map(short).join(",") });
  if (state.words) {
    said.set("q", state.words);
    said.set("n", state.network);
    if (state.negatives.length) said.set("not", JSON.stringify(state.negatives));
    if (state.threshold !== null) said.set("t", short(state.threshold));
  }
  if (state.off.size) said.set("off", [...state.off].join("."));
  if (state.cut !== null) said.set("cut", short(state.cut));
  if (state.size !== 1) said.set("s", short(state.size));
  if (state.picked !== null) said.set("at", state.picked);
  return said.toString();
}

function fromFragment(fragment, state, camera, meta) {
  const said = new URLSearchParams(fragment);
  const numbers = (name) => (said.get(name) || "").split(",").map(Number);
  const one = (name, low, high) => {
    const number = said.has(name) ? Number(said.get(name)) : NaN;
    return number >= low && number <= high ? number : null;
  };
  if (said.has("p")) {
    const known = (n) => n === "h" ? meta.networks.length > 0 : Number(n) in meta.layers;
    state.panels = said.get("p").split(".").filter((n) => n && known(n)).map((n) => n === "h" ? n : Number(n));
  }
  const pose = numbers("c");
  if (pose.length === 6 && pose.every(Number.isFinite) && pose[5] > 0) camera.state = pose;
  state.words = (said.get("q") || "").slice(0, 200);
  state.negatives = [];
  try {
    const negatives = JSON.parse(said.get("not") || "[]");
    if (Array.isArray(negatives)) state.negatives = negatives.slice(0, 20).map((n) => String(n).slice(0, 200));
  } catch { /* none */ }
  const network = one("n", 0, meta.networks.length - 1);
  if (Number.isInteger(network)) state.network = network;
  state.threshold = one("t", -2, 2);
  state.off = new Set((said.get("off") || "").split(".").filter((key) => /^\d+-\d+$/.test(key)));
  state.cut = one("cut", 0, Infinity);
  state.size = one("s", 0.1, 10) ?? 1;
  const picked = one("at", 0, meta.points.shown - 1);
  state.picked = Number.isInteger(picked) ? picked : null;
}
