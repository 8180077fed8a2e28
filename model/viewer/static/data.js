"use strict";
// What model/viewer/pack.py packed: base64 of one deflated block, cut into typed arrays.

const TYPES = { u8: Uint8Array, u16: Uint16Array, u32: Uint32Array };

async function unpack(meta, text) {
  const binary = atob(text.trim());
  const bytes = new Uint8Array(binary.length);
  for (let i = 0; i < bytes.length; i++) bytes[i] = binary.charCodeAt(i);
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  const buffer = await new Response(stream).arrayBuffer();
  const arrays = {};
  for (const [name, { type, begin, bytes }] of Object.entries(meta.arrays)) {
    arrays[name] = new TYPES[type](buffer.slice(begin, begin + bytes));
  }
  return arrays;
}

// Values from their differences; a typed array wraps around as numpy does.
function summed(differences) {
  const values = differences.slice();
  for (let i = 1; i < values.length; i++) values[i] += values[i - 1];
  return values;
}

// Where each point is drawn from: any first part of this order is spread evenly over the scan, so
// that fewer points can be drawn while the view moves. Golden steps through the list.
function spread(count) {
  let step = Math.max(1, Math.round(count * 0.6180339887));
  const divisor = (a, b) => (b ? divisor(b, a % b) : a);
  while (divisor(step, count) !== 1) step++;
  const order = new Uint32Array(count);
  for (let i = 0, at = 0; i < count; i++, at = (at + step) % count) order[i] = at;
  return order;
}

function reordered(values, order) {
  const moved = new values.constructor(order.length);
  for (let i = 0; i < order.length; i++) moved[i] = values[order[i]];
  return moved;
}

function interleaved(columns, width, order) {
  const all = new columns[0].constructor(order.length * width);
  columns.forEach((column, c) => {
    for (let i = 0; i < order.length; i++) all[i * width + c] = column[order[i]];
  });
  return all;
}

// All arrays of points in the order in which they are drawn.
function readPoints(meta, arrays) {
  const order = spread(meta.points.shown);
  const points = {
    count: order.length,
    position: interleaved(["x", "y", "z"].map((axis) => summed(arrays[axis])), 4, order),
    color: interleaved(["r", "g", "b"].map((c) => arrays["color_" + c]), 4, order),
    label: [], confidence: [], voxel: [],
  };
  meta.layers.forEach((layer, n) => {
    if (layer.palette === undefined) return;
    points.label[n] = reordered(arrays["label_" + n], order);
    if (layer.confidence) points.confidence[n] = reordered(arrays["confidence_" + n], order);
  });
  meta.networks.forEach((network, n) => {
    points.voxel[n] = reordered(summed(arrays["voxel_" + n]), order);
  });
  return points;
}
