// The photo in 3D: one textured surface or its points, and lines, by WebGL. Values are those of
// `demo.viewer3d.viewer3d`. World: metres, y up, the photo's camera at the origin looks along -z.
const find = (name) => element.querySelector(name);
const stage = find('.stage'), canvas = find('canvas'), scale = find('.scale');
const RADIAN = Math.PI / 180;
const FIRST = { yaw: 15 * RADIAN, pitch: 7 * RADIAN, zoom: 1, pan: [0, 0, 0] };
const SWAY = { yaw: 5 * RADIAN, pitch: 1.5 * RADIAN, seconds: 8 };
const SLOW_MS = 40, SLOW_SWAY_MS = 15000; // a frame that no GPU draws, and how long it sways
const MOST_TAN = Math.tan(22.5 * RADIAN); // of half the field of view
const FAR_M = 2000, STRIDE = 2; // of the points, in vertices
const clamp = (value, low, high) => Math.min(high, Math.max(low, value));
const dot = (a, b) => a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
const cross = (a, b) => [
  a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0],
];
const unit = (a) => a.map((value) => value / Math.hypot(...a));
const still = matchMedia('(prefers-reduced-motion: reduce)');

let now = {}, data = null; // the value, and the file's content
let pose = { ...FIRST }, touched = false, visible = false, queued = 0, began = 0;
let gl = null, solid = null, lines = null, parts = null;

function link(sources) {
  const program = gl.createProgram();
  [gl.VERTEX_SHADER, gl.FRAGMENT_SHADER].forEach((kind, index) => {
    const shader = gl.createShader(kind);
    gl.shaderSource(shader, sources[index]);
    gl.compileShader(shader);
    gl.attachShader(program, shader);
  });
  gl.linkProgram(program);
  const at = {};
  for (let i = gl.getProgramParameter(program, gl.ACTIVE_UNIFORMS) - 1; i >= 0; i -= 1) {
    const { name } = gl.getActiveUniform(program, i);
    at[name] = gl.getUniformLocation(program, name);
  }
  return { program, at };
}

function start() {
  gl = canvas.getContext('webgl2', { antialias: true });
  if (!gl) return;
  solid = link(SOLID);
  lines = link(LINES);
  parts = null;
}

// Inverse of `demo.viewer3d.viewer3d.pack`.
async function read(url) {
  const bytes = await (await fetch(url)).arrayBuffer();
  const length = new DataView(bytes).getUint32(0, true);
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(bytes, 4, length)));
  const { rows, columns } = header, count = rows * columns, cells = (rows - 1) * (columns - 1);
  const codes = new Uint16Array(bytes, 4 + length, count);
  const mask = new Uint8Array(bytes, 4 + length + 2 * count, Math.ceil(cells / 8));
  const faces = new Uint32Array(6 * cells), points = new Uint32Array(count);
  let last = 0, drawn = 0;
  for (let cell = 0; cell < cells; cell += 1) {
    if (!((mask[cell >> 3] >> (cell & 7)) & 1)) continue;
    const corner = cell + Math.floor(cell / (columns - 1)), below = corner + columns;
    faces.set([corner, below, corner + 1, corner + 1, below, below + 1], last);
    last += 6;
  }
  for (let row = 0; row < rows; row += STRIDE) {
    for (let i = row * columns; i < (row + 1) * columns; i += STRIDE) {
      if (codes[i]) { points[drawn] = i; drawn += 1; }
    }
  }
  const picture = new Blob([new Uint8Array(bytes, 4 + length + 2 * count + mask.length)]);
  const photo = await createImageBitmap(picture);
  return {
    ...header, codes, photo, faces: faces.subarray(0, last), points: points.subarray(0, drawn),
  };
}

function buffer(target, content) {
  const made = gl.createBuffer();
  gl.bindBuffer(target, made);
  gl.bufferData(target, content, gl.STATIC_DRAW);
  return made;
}

function upload() {
  if (parts) [parts.codes, parts.faces, parts.points].forEach((each) => gl.deleteBuffer(each));
  if (parts) gl.deleteTexture(parts.photo);
  const photo = gl.createTexture();
  gl.bindTexture(gl.TEXTURE_2D, photo);
  gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA, gl.RGBA, gl.UNSIGNED_BYTE, data.photo);
  gl.generateMipmap(gl.TEXTURE_2D);
  gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MIN_FILTER, gl.LINEAR_MIPMAP_LINEAR);
  gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_WRAP_S, gl.CLAMP_TO_EDGE);
  gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_WRAP_T, gl.CLAMP_TO_EDGE);
  parts = {
    photo,
    codes: buffer(gl.ARRAY_BUFFER, data.codes),
    faces: buffer(gl.ELEMENT_ARRAY_BUFFER, data.faces),
    points: buffer(gl.ELEMENT_ARRAY_BUFFER, data.points),
  };
}

// Eye, matrix and sizes of a pose: the eye turns about the middle, never nearer than the camera.
function look(width, height) {
  const { turn, middleM, columns, rows, fPx } = data;
  const axis = [turn[2], turn[5], turn[8]], half = middleM / 2 / fPx;
  const need = 1.12 * Math.max(rows * half, (columns * half * height) / width);
  const first = Math.max(1.1 * middleM, need / MOST_TAN), tan = need / first;
  const t = touched ? 0 : (2 * Math.PI * (performance.now() - began)) / 1000 / SWAY.seconds;
  const sway = touched || still.matches ? 0 : 1;
  const yaw = Math.atan2(-axis[0], -axis[2]) + pose.yaw + sway * SWAY.yaw * Math.sin(t);
  const up = Math.asin(clamp(-axis[1], -1, 1)) + pose.pitch + sway * SWAY.pitch * Math.sin(2 * t);
  const pitch = clamp(up, -1.5, 1.5), distance = first * pose.zoom;
  const back = [Math.sin(yaw) * Math.cos(pitch), Math.sin(pitch), Math.cos(yaw) * Math.cos(pitch)];
  const target = axis.map((value, i) => middleM * (value + pose.pan[i]));
  const eye = target.map((value, i) => value + distance * back[i]);
  const ahead = back.map((value) => -value), right = unit(cross(ahead, [0, 1, 0]));
  const above = cross(right, ahead), near = 0.01 * distance, far = FAR_M + distance;
  const row = (direction, size, shift = 0) => [
    ...direction.map((value) => value * size), shift - size * dot(direction, eye),
  ];
  const k = (far + near) / (far - near);
  const view = [
    ...row(right, height / width / tan), ...row(above, 1 / tan),
    ...row(ahead, k, (-2 * far * near) / (far - near)), ...row(ahead, 1),
  ];
  return { view, near, distance, tan, right, above, yaw, pitch };
}

function draw() {
  const width = stage.clientWidth, height = stage.clientHeight;
  if (!gl || !data || !width || gl.isContextLost()) return;
  const ratio = Math.min(2, devicePixelRatio || 1);
  const size = [Math.round(width * ratio), Math.round(height * ratio)];
  if (canvas.width !== size[0] || canvas.height !== size[1]) [canvas.width, canvas.height] = size;
  if (!parts) upload();
  const seen = look(width, height), points = now.view === 'points';
  gl.viewport(0, 0, ...size);
  gl.clear(gl.COLOR_BUFFER_BIT | gl.DEPTH_BUFFER_BIT); // clear, so that the page's colour is seen
  gl.enable(gl.DEPTH_TEST);
  gl.useProgram(solid.program);
  gl.uniformMatrix4fv(solid.at.view, true, seen.view);
  gl.uniformMatrix3fv(solid.at.turn, true, data.turn);
  gl.uniform2f(solid.at.size, data.columns, data.rows);
  gl.uniform3f(solid.at.lens, data.fPx, data.base, data.step);
  gl.uniform2f(solid.at.dots, (1.1 * STRIDE * size[1]) / 2 / seen.tan, 2.5 * ratio);
  gl.uniform1i(solid.at.round, points ? 1 : 0);
  gl.bindTexture(gl.TEXTURE_2D, parts.photo);
  gl.bindBuffer(gl.ARRAY_BUFFER, parts.codes);
  gl.enableVertexAttribArray(0);
  gl.vertexAttribIPointer(0, 1, gl.UNSIGNED_SHORT, 0, 0);
  gl.vertexAttribDivisor(0, 0);
  gl.bindBuffer(gl.ELEMENT_ARRAY_BUFFER, points ? parts.points : parts.faces);
  const [kind, list] = points ? [gl.POINTS, data.points] : [gl.TRIANGLES, data.faces];
  gl.drawElements(kind, list.length, gl.UNSIGNED_INT, 0);
  for (const each of now.lines || []) drawLines(each, seen, size, ratio);
  measure(seen, width, height);
  const shown = [seen.yaw / RADIAN, seen.pitch / RADIAN, seen.distance, seen.tan];
  stage.dataset.pose = shown.map((value) => value.toFixed(4)).join(' ');
}

function drawLines({ segments, colour, width }, seen, size, ratio) {
  gl.useProgram(lines.program);
  gl.uniformMatrix4fv(lines.at.view, true, seen.view);
  gl.uniform2f(lines.at.pixels, ...size);
  gl.uniform1f(lines.at.width, width * ratio);
  gl.uniform1f(lines.at.near, 1.01 * seen.near);
  const tint = [1, 3, 5].map((i) => parseInt(colour.slice(i, i + 2), 16) / 255);
  gl.uniform4f(lines.at.tint, ...tint, 1);
  const made = buffer(gl.ARRAY_BUFFER, new Float32Array(segments));
  [0, 1].forEach((index) => {
    gl.enableVertexAttribArray(index);
    gl.vertexAttribPointer(index, 3, gl.FLOAT, false, 24, 12 * index);
    gl.vertexAttribDivisor(index, 1);
  });
  gl.drawArraysInstanced(gl.TRIANGLE_STRIP, 0, 4, segments.length / 6);
  gl.disableVertexAttribArray(1);
  gl.deleteBuffer(made);
}

// A bar of a round length as it looks at the point that the view turns about.
function measure(seen, width, height) {
  const metre = height / 2 / seen.tan / seen.distance;
  const sizes = now.units === 'ft'
    ? [['mi', 1609.344], ['ft', 0.3048], ['in', 0.0254]]
    : [['km', 1000], ['m', 1], ['cm', 0.01], ['mm', 0.001]];
  const longest = Math.min(160, 0.35 * width) / metre;
  const [name, size] = sizes.find((each) => longest >= each[1]) || sizes[sizes.length - 1];
  const power = 10 ** Math.floor(Math.log10(longest / size));
  const count = [5, 2, 1].find((digit) => digit * power * size <= longest * (1 + 1e-9)) * power;
  scale.style.width = `${count * size * metre}px`;
  find('.scale span').textContent = `${Number(count.toPrecision(1))} ${name}`;
}

function request() {
  if (!queued) queued = requestAnimationFrame(frame);
}

function frame() {
  queued = 0;
  const before = performance.now();
  draw();
  if (touched || still.matches || !visible || !data || !gl) return;
  const fence = gl.fenceSync(gl.SYNC_GPU_COMMANDS_COMPLETE, 0);
  const wait = () => {
    const done = !fence || gl.getSyncParameter(fence, gl.SYNC_STATUS) === gl.SIGNALED;
    const took = performance.now() - before;
    if (!done) setTimeout(wait, 8);
    else {
      gl.deleteSync(fence);
      // Drawn by a slow processor, it takes a third of its time, and not for ever.
      if (took < SLOW_MS || before - began < SLOW_SWAY_MS) setTimeout(request, 2 * took);
    }
  };
  setTimeout(wait, 4);
}

function touch() {
  if (!touched && data) {
    const seen = look(stage.clientWidth, stage.clientHeight); // goes on from where it has swayed
    touched = true;
    const rest = look(stage.clientWidth, stage.clientHeight);
    pose.yaw += seen.yaw - rest.yaw;
    pose.pitch += seen.pitch - rest.pitch;
  }
  touched = true;
  find('.hint').hidden = true;
}

async function update(value) {
  if (!value || typeof value !== 'object') return;
  const url = value.file && value.file.url;
  const same = url && now.file && now.file.url === url && data;
  if (value.photo !== now.photo) {
    pose = { ...FIRST };
    began = performance.now();
  }
  now = value;
  if (!url) data = null;
  if (url && !same) {
    const content = gl && await read(url).catch(() => null);
    if (now !== value) return; // another one came in the meantime
    data = content;
    parts = parts && data ? (upload(), parts) : null;
  }
  const why = url && (gl ? 'The 3D view could not be loaded; choose the photo again.'
    : 'This browser shows no 3D: WebGL is switched off. The files below have it.');
  find('.empty').textContent = data ? '' : why || now.empty || '';
  find('.hint').textContent = matchMedia('(pointer: coarse)').matches
    ? 'Drag sideways to turn, pinch to zoom' : 'Drag to turn; click, then scroll to zoom';
  canvas.hidden = scale.hidden = find('.home').hidden = !data;
  find('.hint').hidden = !data || touched;
  request();
}

const pointers = new Map(); // of the fingers or the mouse: where they were

function shift(x, y) {
  const seen = look(stage.clientWidth, stage.clientHeight);
  const metres = (2 * seen.tan * seen.distance) / stage.clientHeight / data.middleM;
  pose.pan = pose.pan.map((old, i) => old + metres * (y * seen.above[i] - x * seen.right[i]));
}

function turn(x, y) {
  pose.yaw -= x;
  const seen = look(stage.clientWidth, stage.clientHeight);
  pose.pitch += clamp(seen.pitch + y, -1.4, 1.4) - seen.pitch;
}

const zoom = (factor) => { pose.zoom = clamp(pose.zoom * factor, 0.05, 8); };

stage.addEventListener('pointerdown', (event) => {
  touch();
  if (!data || event.target.closest('button')) return;
  stage.focus({ preventScroll: true });
  pointers.set(event.pointerId, [event.clientX, event.clientY]);
  stage.setPointerCapture(event.pointerId);
});
stage.addEventListener('pointermove', (event) => {
  const from = pointers.get(event.pointerId);
  if (!from || !data) return;
  const to = [event.clientX, event.clientY], x = to[0] - from[0], y = to[1] - from[1];
  const [other] = [...pointers].filter(([id]) => id !== event.pointerId).map(([, at]) => at);
  if (other) {
    const apart = (at) => Math.max(20, Math.hypot(at[0] - other[0], at[1] - other[1]));
    zoom(apart(from) / apart(to));
    shift(x / 2, y / 2);
  } else if (event.buttons & 6 || event.shiftKey) shift(x, y);
  else turn((x / stage.clientWidth) * 3.5, (y / stage.clientHeight) * 2);
  pointers.set(event.pointerId, to);
  request();
});
['pointerup', 'pointercancel', 'lostpointercapture'].forEach((name) => {
  stage.addEventListener(name, (event) => pointers.delete(event.pointerId));
});
stage.addEventListener('contextmenu', (event) => event.preventDefault()); // the right button shifts
stage.addEventListener('wheel', (event) => {
  touch();
  if (!data || document.activeElement !== stage) return; // who only scrolls past goes on
  event.preventDefault();
  zoom(Math.exp(clamp(event.deltaY, -100, 100) * 0.002));
  request();
}, { passive: false });
stage.addEventListener('keydown', (event) => {
  if (event.target !== stage || !data || event.ctrlKey || event.altKey || event.metaKey) return;
  const arrow = {
    ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1],
  }[event.key];
  if (event.key !== 'Tab') touch();
  if (arrow && event.shiftKey) shift(40 * arrow[0], 40 * arrow[1]);
  else if (arrow) turn(arrow[0] / 8, arrow[1] / 8);
  else if (event.key === '+' || event.key === '=') zoom(1 / 1.15);
  else if (event.key === '-') zoom(1.15);
  else if (event.key === 'Home') pose = { ...FIRST };
  else return;
  event.preventDefault();
  request();
});
find('.home').addEventListener('click', () => { touch(); pose = { ...FIRST }; request(); });
canvas.addEventListener('webglcontextlost', (event) => event.preventDefault());
canvas.addEventListener('webglcontextrestored', () => { start(); request(); });
new ResizeObserver(request).observe(stage);
new IntersectionObserver(([entry]) => {
  visible = entry.isIntersecting;
  if (visible) request();
}).observe(stage);
start();
watch('value', () => update(props.value));
update(props.value);
