"use strict";
// Where words fit: cosines by voxel of a network, in 8 bits, of its class names and of what was asked.

class Words {
  constructor(meta, arrays, points) {
    this.networks = meta.networks.map((network, n) => ({
      ...network,
      voxel: points.voxel[n],
      phrases: new Map(network.phrases.map((phrase, k) => [phrase.words, {
        ...phrase, heat: arrays["heat_" + n].subarray(k * network.voxels, (k + 1) * network.voxels),
      }])),
    }));
  }

  // The phrase, asked of the server if need be. Throws a sentence where it cannot be had.
  async find(number, words) {
    const network = this.networks[number];
    if (network.phrases.has(words)) return network.phrases.get(words);
    if (!network.free) {
      const names = [...network.phrases.keys()];
      const name = names.find((known) => known.toLowerCase() === words.toLowerCase());
      if (name) return network.phrases.get(name);
      throw new Error(`“${words}” is none of the ${names.length} phrases that this page knows by ` +
        `${network.name}; the box offers them. The viewer embeds other words where it runs as a server.`);
    }
    const answer = await fetch(`query?${new URLSearchParams({ network: number, words })}`)
      .catch(() => { throw new Error("The server does not answer: is it still running?"); });
    if (!answer.ok) throw new Error(await answer.text());
    const bytes = await answer.arrayBuffer(), range = new DataView(bytes);
    const found = {
      words, low: range.getFloat32(0, true), high: range.getFloat32(4, true), heat: new Uint8Array(bytes, 8),
    };
    network.phrases.set(words, found);
    return found;
  }

  // Of each point: the cosine with the words, less the highest of those with the negatives.
  async ask(number, words, negatives) {
    const [wanted, ...others] = await Promise.all([words, ...negatives].map((each) => this.find(number, each)));
    const { voxel, voxels } = this.networks[number], value = new Float32Array(voxels);
    const cosine = ({ low, high, heat }, v) => low + (high - low) * heat[v] / 255;
    for (let v = 0; v < voxels; v++) {
      let most = others.length ? -Infinity : 0;
      for (const other of others) most = Math.max(most, cosine(other, v));
      value[v] = cosine(wanted, v) - most;
    }
    const count = new Uint32Array(voxels);
    for (let i = 0; i < voxel.length; i++) count[voxel[i]]++;
    return { words, negatives, network: number, value, count, voxel, ...ranked(value, count) };
  }

  // The phrases that fit a point best.
  nearest(number, point, most) {
    const { voxel, phrases } = this.networks[number];
    return [...phrases.values()]
      .map(({ words, low, high, heat }) => ({ words, cosine: low + (high - low) * heat[voxel[point]] / 255 }))
      .sort((a, b) => b.cosine - a.cosine).slice(0, most);
  }
}

// The least and greatest value, and the 2nd and 98th percentile over points.
function ranked(value, count) {
  const bins = 4096, share = new Float64Array(bins);
  let least = Infinity, greatest = -Infinity, total = 0;
  for (let v = 0; v < value.length; v++) {
    if (!count[v]) continue;
    least = Math.min(least, value[v]);
    greatest = Math.max(greatest, value[v]);
    total += count[v];
  }
  const width = Math.max(greatest - least, 1e-9) / bins;
  for (let v = 0; v < value.length; v++) {
    share[Math.min(bins - 1, Math.max(0, Math.floor((value[v] - least) / width)))] += count[v] / total;
  }
  const percentile = (wanted) => {
    let sum = 0, bin = 0;
    while (bin < bins - 1 && (sum += share[bin]) < wanted) bin++;
    return least + (bin + 0.5) * width;
  };
  return { least, greatest, low: percentile(0.02), high: percentile(0.98) };
}

// A byte for each point: its place in the ramp, or with a threshold whether it reaches it.
function heatOfPoints(asked, threshold) {
  const { value, voxel, low, high } = asked, byte = new Uint8Array(value.length);
  for (let v = 0; v < value.length; v++) {
    const place = threshold === null ? 255 * (value[v] - low) / Math.max(high - low, 1e-9)
      : value[v] >= threshold ? 255 : 0;
    byte[v] = Math.max(0, Math.min(255, Math.round(place)));
  }
  const heat = new Uint8Array(voxel.length);
  for (let i = 0; i < voxel.length; i++) heat[i] = byte[voxel[i]];
  return heat;
}

// The share of the points that reach a threshold.
function shareAbove({ value, count }, threshold) {
  let above = 0, total = 0;
  for (let v = 0; v < value.length; v++) {
    total += count[v];
    if (value[v] >= threshold) above += count[v];
  }
  return above / total;
}
