"use strict";
// One camera for all panels: it turns about a target, in metres from the corner of the scan, z up.

const FIELD = 0.85; // radians, of the lesser side of a panel

class Camera {
  // `size` of the whole scan, and the corners between which most points are.
  constructor(size, most) {
    this.size = size;
    this.most = most;
    this.reset();
  }

  reset() {
    const [low, high] = this.most, [x, y, z] = high.map((end, i) => end - low[i]);
    this.target = [low[0] + x / 2, low[1] + y / 2, low[2] + Math.min(z, 2) / 2];
    this.yaw = -2.2;
    this.pitch = 0.95;
    this.distance = Math.max(0.2, 0.52 * Math.hypot(x, y, Math.min(z, 3)) / Math.tan(FIELD / 2));
  }

  fromAbove() {
    this.reset();
    this.yaw = -Math.PI / 2;
    this.pitch = Math.PI / 2;
  }

  axes() {
    const [cy, sy, cp, sp] = [this.yaw, this.pitch].flatMap((a) => [Math.cos(a), Math.sin(a)]);
    return { right: [-sy, cy, 0], up: [-sp * cy, -sp * sy, cp], back: [cp * cy, cp * sy, sp] };
  }

  // Column-major: from metres to clip space, in a panel of this aspect.
  matrix(aspect) {
    const { right, up, back } = this.axes();
    const eye = this.target.map((t, i) => t + this.distance * back[i]);
    const dot = (a) => -(a[0] * eye[0] + a[1] * eye[1] + a[2] * eye[2]);
    const far = this.distance + 2 * Math.hypot(...this.size) + 1;
    const near = Math.max(far / 5000, this.distance / 200);
    const scale = 1 / Math.tan(FIELD / 2) * Math.min(1, aspect);
    const [fx, fy, a, b] = [scale / aspect, scale, (far + near) / (far - near),
      -2 * far * near / (far - near)];
    const m = [];
    for (let i = 0; i < 3; i++) m.push(fx * right[i], fy * up[i], -a * back[i], -back[i]);
    m.push(fx * dot(right), fy * dot(up), -a * dot(back) + b, -dot(back));
    return new Float32Array(m);
  }

  turn(dx, dy) {
    this.yaw -= dx;
    this.pitch = Math.max(-Math.PI / 2, Math.min(Math.PI / 2, this.pitch + dy));
  }

  // By shares of the lesser side of a panel.
  pan(dx, dy) {
    const { right, up } = this.axes(), far = 2 * this.distance * Math.tan(FIELD / 2);
    for (let i = 0; i < 3; i++) this.target[i] += far * (dy * up[i] - dx * right[i]);
  }

  zoom(factor) {
    const most = 5 * Math.hypot(...this.size) + 5;
    this.distance = Math.max(0.1, Math.min(most, this.distance * factor));
  }

  get state() {
    return [...this.target, this.yaw, this.pitch, this.distance];
  }

  set state(numbers) {
    const [x, y, z, yaw, pitch, distance] = numbers;
    Object.assign(this, { target: [x, y, z], yaw, pitch, distance });
  }
}

// Mouse, fingers and keys. `moved` is called after each change, `clicked` with a place in pixels
// of the page, `panel(x, y)` gives the lesser side in pixels of the panel there.
function steer(canvas, camera, { moved, clicked, lesser }) {
  const fingers = new Map();
  let travelled = 0;
  const between = () => {
    const [a, b] = [...fingers.values()];
    return { x: (a.x + b.x) / 2, y: (a.y + b.y) / 2, gap: Math.hypot(a.x - b.x, a.y - b.y) || 1 };
  };
  canvas.addEventListener("pointerdown", (event) => {
    if (!fingers.size) travelled = 0;
    canvas.setPointerCapture(event.pointerId);
    fingers.set(event.pointerId, { x: event.clientX, y: event.clientY });
  });
  canvas.addEventListener("pointermove", (event) => {
    const last = fingers.get(event.pointerId);
    if (!last) return;
    const before = fingers.size === 2 && between();
    const [dx, dy] = [event.clientX - last.x, event.clientY - last.y];
    travelled += Math.abs(dx) + Math.abs(dy);
    fingers.set(event.pointerId, { x: event.clientX, y: event.clientY });
    const side = lesser();
    if (before) {
      const after = between();
      camera.pan((after.x - before.x) / side, (after.y - before.y) / side);
      camera.zoom(before.gap / after.gap);
    } else if (event.shiftKey || event.buttons & 6) camera.pan(dx / side, dy / side);
    else camera.turn(4 * dx / side, 4 * dy / side);
    moved();
  });
  const lift = (event) => {
    if (!fingers.delete(event.pointerId) || fingers.size || event.type !== "pointerup") return;
    if (travelled < 6 && event.button === 0) clicked(event.clientX, event.clientY);
  };
  canvas.addEventListener("pointerup", lift);
  canvas.addEventListener("pointercancel", lift);
  canvas.addEventListener("contextmenu", (event) => event.preventDefault());
  canvas.addEventListener("wheel", (event) => {
    event.preventDefault();
    camera.zoom(Math.exp(Math.max(-120, Math.min(120, event.deltaY)) * 0.0015));
    moved();
  }, { passive: false });
  const steps = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  canvas.addEventListener("keydown", (event) => {
    const step = steps[event.key];
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (step && event.shiftKey) camera.pan(-0.05 * step[0], -0.05 * step[1]);
    else if (step) camera.turn(-0.1 * step[0], -0.1 * step[1]);
    else if (event.key === "+" || event.key === "=") camera.zoom(1 / 1.15);
    else if (event.key === "-") camera.zoom(1.15);
    else if (event.key === "Home" || event.key === "0") camera.reset();
    else if (event.key === "t") camera.fromAbove();
    else return;
    event.preventDefault();
    moved();
  });
}
