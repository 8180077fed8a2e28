"use strict";
// Points by WebGL 2: one program, buffers shared by all panels.

const NONE = 255; // the class of points without one
const COLOR = 0, CLASS = 1, HEAT = 2, MASK = 3;

const VERTEX = `#version 300 es
layout(location = 0) in vec3 position;
layout(location = 1) in vec3 color;
layout(location = 2) in float label;
layout(location = 3) in float heat;
uniform mat4 view;
uniform float unit, cut, size;
uniform int kind;
uniform sampler2D palette, ramp;
flat out vec3 shade;
void main() {
  vec3 p = unit * position;
  bool hidden = p.z > cut;
  shade = color;
  if (kind == ${CLASS}) {
    vec4 own = texelFetch(palette, ivec2(int(label + 0.5), 0), 0);
    shade = own.rgb;
    hidden = hidden || own.a < 0.5;
  } else if (kind == ${HEAT}) {
    shade = texelFetch(ramp, ivec2(int(heat * 255.0 + 0.5), 0), 0).rgb;
  } else if (kind == ${MASK}) {
    shade = heat > 0.5 ? vec3(0.93, 0.27, 0.05) : mix(vec3(dot(color, vec3(0.3, 0.6, 0.1))), vec3(0.85), 0.55);
  }
  gl_Position = hidden ? vec4(2.0, 2.0, 2.0, 1.0) : view * vec4(p, 1.0);
  gl_PointSize = clamp(size / gl_Position.w, 2.0, 40.0);
}`;
const FRAGMENT = `#version 300 es
precision mediump float;
flat in vec3 shade;
out vec4 color;
void main() { color = vec4(shade, 1.0); }`;

class Drawing {
  constructor(canvas, meta, points, ramp) {
    this.canvas = canvas;
    this.meta = meta;
    this.points = points;
    const gl = canvas.getContext("webgl2", { antialias: false });
    if (!gl) throw new Error("This browser has no WebGL 2, which the points need.");
    this.gl = gl;
    this.program = this.build();
    gl.useProgram(this.program);
    this.at = {};
    for (const name of ["view", "unit", "cut", "size", "kind", "palette", "ramp"]) {
      this.at[name] = gl.getUniformLocation(this.program, name);
    }
    const upload = (values) => {
      const buffer = gl.createBuffer();
      gl.bindBuffer(gl.ARRAY_BUFFER, buffer);
      gl.bufferData(gl.ARRAY_BUFFER, values, gl.STATIC_DRAW);
      return buffer;
    };
    this.buffers = {
      position: upload(points.position), color: upload(points.color),
      label: points.label.map((values) => values && upload(values)),
      heat: upload(new Uint8Array(points.count)),
    };
    const three = new Uint8Array(1024);
    for (let k = 0; k < 256; k++) three.set(ramp.subarray(3 * k, 3 * k + 3), 4 * k);
    this.ramp = this.texture(three);
    this.palettes = meta.palettes.map(() => this.texture(new Uint8Array(1024)));
    this.target = gl.createFramebuffer(); // what is drawn in parts, and shown when it is complete
    this.layers = [gl.createRenderbuffer(), gl.createRenderbuffer()];
    gl.enable(gl.DEPTH_TEST);
    gl.enable(gl.SCISSOR_TEST);
    gl.uniform1i(this.at.palette, 0);
    gl.uniform1i(this.at.ramp, 1);
    gl.uniform1f(this.at.unit, meta.unit);
  }

  build() {
    const gl = this.gl, program = gl.createProgram();
    for (const [type, source] of [[gl.VERTEX_SHADER, VERTEX], [gl.FRAGMENT_SHADER, FRAGMENT]]) {
      const shader = gl.createShader(type);
      gl.shaderSource(shader, source);
      gl.compileShader(shader);
      gl.attachShader(program, shader);
    }
    gl.linkProgram(program);
    if (!gl.getProgramParameter(program, gl.LINK_STATUS)) throw new Error(gl.getProgramInfoLog(program));
    return program;
  }

  texture(values) {
    const gl = this.gl, texture = gl.createTexture();
    gl.bindTexture(gl.TEXTURE_2D, texture);
    gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA8, 256, 1, 0, gl.RGBA, gl.UNSIGNED_BYTE, values);
    for (const side of [gl.TEXTURE_MIN_FILTER, gl.TEXTURE_MAG_FILTER]) {
      gl.texParameteri(gl.TEXTURE_2D, side, gl.NEAREST);
    }
    return texture;
  }

  setPalette(number, colors, shown) {
    const gl = this.gl, values = new Uint8Array(1024);
    for (let k = 0; k < 256; k++) {
      const hex = parseInt((colors[k] || "#000000").slice(1), 16);
      values.set([hex >> 16, (hex >> 8) & 255, hex & 255, shown(k) ? 255 : 0], 4 * k);
    }
    gl.bindTexture(gl.TEXTURE_2D, this.palettes[number]);
    gl.texSubImage2D(gl.TEXTURE_2D, 0, 0, 0, 256, 1, gl.RGBA, gl.UNSIGNED_BYTE, values);
  }

  setHeat(values) {
    const gl = this.gl;
    gl.bindBuffer(gl.ARRAY_BUFFER, this.buffers.heat);
    gl.bufferSubData(gl.ARRAY_BUFFER, 0, values);
  }

  attribute(place, buffer, width, type, normalised, stride) {
    const gl = this.gl;
    if (!buffer) return gl.disableVertexAttribArray(place);
    gl.enableVertexAttribArray(place);
    gl.bindBuffer(gl.ARRAY_BUFFER, buffer);
    gl.vertexAttribPointer(place, width, type, normalised, stride, 0);
  }

  // `panels` are boxes { x, y, width, height } in pixels of the page, from its top left, with what
  // they show: { kind, layer }. `count` points from `first` on are drawn, over those before them.
  draw(panels, camera, { cut, size, first, count }) {
    const gl = this.gl, dense = this.density(), buffers = this.buffers;
    const clear = (...color) => {
      gl.clearColor(...color, 1);
      if (!first) gl.clear(gl.COLOR_BUFFER_BIT | gl.DEPTH_BUFFER_BIT);
    };
    gl.bindFramebuffer(gl.FRAMEBUFFER, this.target);
    gl.scissor(0, 0, this.canvas.width, this.canvas.height);
    clear(0.8, 0.82, 0.85);
    this.attribute(0, buffers.position, 3, gl.UNSIGNED_SHORT, false, 8);
    this.attribute(1, buffers.color, 3, gl.UNSIGNED_BYTE, true, 4);
    this.attribute(3, buffers.heat, 1, gl.UNSIGNED_BYTE, true, 1);
    gl.uniform1f(this.at.cut, cut);
    for (const { x, y, width, height, kind, layer } of panels) {
      const box = [x, this.canvas.height / dense - y - height, width, height].map((v) => Math.round(v * dense));
      gl.viewport(...box);
      gl.scissor(...box);
      clear(0.955, 0.96, 0.965);
      const sharp = Math.min(width, height) * dense / 2 / Math.tan(FIELD / 2); // pixels at 1 m
      gl.uniform1f(this.at.size, size * this.meta.spacing * sharp);
      gl.uniform1i(this.at.kind, kind);
      gl.uniformMatrix4fv(this.at.view, false, camera.matrix(width / height));
      this.attribute(2, buffers.label[layer], 1, gl.UNSIGNED_BYTE, false, 1);
      gl.activeTexture(gl.TEXTURE1);
      gl.bindTexture(gl.TEXTURE_2D, this.ramp);
      gl.activeTexture(gl.TEXTURE0);
      const palette = kind === CLASS ? this.meta.layers[layer].palette : -1;
      gl.bindTexture(gl.TEXTURE_2D, palette < 0 ? this.ramp : this.palettes[palette]);
      gl.drawArrays(gl.POINTS, first, count);
    }
  }

  resize() {
    const gl = this.gl, [color, depth] = this.layers;
    gl.bindFramebuffer(gl.FRAMEBUFFER, this.target);
    for (const [layer, format, place] of [[color, gl.RGBA8, gl.COLOR_ATTACHMENT0],
      [depth, gl.DEPTH_COMPONENT24, gl.DEPTH_ATTACHMENT]]) {
      gl.bindRenderbuffer(gl.RENDERBUFFER, layer);
      gl.renderbufferStorage(gl.RENDERBUFFER, format, this.canvas.width, this.canvas.height);
      gl.framebufferRenderbuffer(gl.FRAMEBUFFER, place, gl.RENDERBUFFER, layer);
    }
  }

  show() {
    const gl = this.gl, box = [0, 0, this.canvas.width, this.canvas.height];
    gl.bindFramebuffer(gl.DRAW_FRAMEBUFFER, null);
    gl.bindFramebuffer(gl.READ_FRAMEBUFFER, this.target);
    gl.scissor(...box);
    gl.blitFramebuffer(...box, ...box, gl.COLOR_BUFFER_BIT, gl.NEAREST);
  }

  // Call back when all that was asked for has been drawn.
  whenDone(callback) {
    const gl = this.gl, fence = gl.fenceSync(gl.SYNC_GPU_COMMANDS_COMPLETE, 0);
    gl.flush();
    const look = () => {
      if (gl.clientWaitSync(fence, 0, 0) === gl.TIMEOUT_EXPIRED) return setTimeout(look, 2);
      gl.deleteSync(fence);
      callback();
    };
    setTimeout(look, 0);
  }

  density() {
    return this.canvas.width / this.canvas.clientWidth;
  }

  // The number of the point that is seen at a place of a panel; null where there is none.
  pick(x, y, width, height, camera, size, visible) {
    const m = camera.matrix(width / height), { position, count } = this.points, unit = this.meta.unit;
    const sharp = Math.min(width, height) / 2 / Math.tan(FIELD / 2);
    const [wantX, wantY] = [2 * x / width - 1, 1 - 2 * y / height];
    let best = null, nearest = Infinity;
    for (let i = 0; i < count; i++) {
      const px = unit * position[4 * i], py = unit * position[4 * i + 1], pz = unit * position[4 * i + 2];
      const w = m[3] * px + m[7] * py + m[11] * pz + m[15];
      if (w <= 0 || w >= nearest) continue;
      const dx = ((m[0] * px + m[4] * py + m[8] * pz + m[12]) / w - wantX) * width / 2;
      const dy = ((m[1] * px + m[5] * py + m[9] * pz + m[13]) / w - wantY) * height / 2;
      const reach = Math.max(2, size * this.meta.spacing * sharp / w / 2);
      if (Math.abs(dx) > reach || Math.abs(dy) > reach || !visible(i, pz)) continue;
      best = i;
      nearest = w;
    }
    return best;
  }

  place(point, width, height, camera) {
    const m = camera.matrix(width / height);
    const p = [0, 1, 2].map((c) => this.meta.unit * this.points.position[4 * point + c]);
    const [x, y, , w] = [0, 1, 2, 3].map((r) => m[r] * p[0] + m[4 + r] * p[1] + m[8 + r] * p[2] + m[12 + r]);
    return w > 0 ? [(x / w + 1) / 2 * width, (1 - y / w) / 2 * height] : null;
  }
}
