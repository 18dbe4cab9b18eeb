// The picture component. Values are merged into `now`; what is not in them stays as it is.
const find = (name) => element.querySelector(name);
const stage = find('.stage'), photo = find('.photo'), over = find('.over');
const split = find('.split input'), readout = find('.readout'), cross = find('.cross');
const HINT = 'Point at the picture, or use the arrow keys, to read its depth.';
const PICK = 'Click to choose points; with the keyboard: arrow keys, then Enter.';
let now = {}, codes = null, at = null;

function show(image, uri, alt) {
  image.hidden = !uri;
  if (uri && image.src !== uri) image.src = uri;
  if (!uri) image.removeAttribute('src');
  image.alt = alt || '';
}

function divide() {
  const percent = Number(split.value), two = Boolean(now.over);
  over.style.clipPath = `inset(0 0 0 ${percent}%)`;
  find('.divider').style.left = `${percent}%`;
  find('.divider').hidden = !two;
  find('.split').hidden = !two;
}

function update(value) {
  if (!value || typeof value !== 'object') return;
  now = { ...now, ...value };
  if (value.codes) {
    const bytes = Uint8Array.from(atob(value.codes), (letter) => letter.charCodeAt(0));
    codes = new Uint16Array(bytes.buffer);
  } else if (value.codes === null) codes = null;
  show(photo, now.photo, now.photoAlt);
  show(over, now.over, now.overAlt);
  if (now.overName) find('.split span').textContent = now.overName;
  find('.drawing').innerHTML = now.svg || '';
  find('.empty').textContent = now.photo ? '' : now.empty || '';
  stage.style.setProperty('--aspect', now.photo ? now.width / now.height : 1.5);
  stage.classList.toggle('clickable', Boolean(now.photo) && CLICKABLE);
  if (!now.photo) at = null;
  divide();
  tell();
}

// Depth in metres along the axis at a pixel of the photo, from the logarithmic codes.
function depthAt(x, y) {
  const column = Math.min(now.columns - 1, Math.floor(((x + 0.5) / now.width) * now.columns));
  const row = Math.min(now.rows - 1, Math.floor(((y + 0.5) / now.height) * now.rows));
  const code = codes[row * now.columns + column];
  const z = now.minM * Math.exp((code / 65535) * Math.log(now.maxM / now.minM));
  return z * (now.fPx / now.codesFPx);
}

function length(metres) {
  const size = Math.abs(metres);
  if (now.units === 'ft') {
    const feet = size / 0.3048;
    if (feet < 1) return `${(metres / 0.0254).toPrecision(3)} in`;
    return feet < 5280 ? `${(metres / 0.3048).toPrecision(3)} ft` : `${(metres / 1609.344).toPrecision(3)} mi`;
  }
  if (size >= 1000) return `${(metres / 1000).toPrecision(3)} km`;
  return size >= 0.1 ? `${metres.toPrecision(3)} m` : `${(100 * metres).toPrecision(3)} cm`;
}

function tell() {
  cross.hidden = !at;
  if (!at || !codes) {
    readout.textContent = now.photo ? (CLICKABLE ? PICK : HINT) : ' ';
    return;
  }
  cross.style.left = `${((at.x + 0.5) / now.width) * 100}%`;
  cross.style.top = `${((at.y + 0.5) / now.height) * 100}%`;
  const z = depthAt(at.x, at.y), pixel = `pixel ${Math.round(at.x)}, ${Math.round(at.y)}`;
  if (z >= now.skyM) {
    readout.textContent = `sky, or farther than ${length(now.skyM)} · ${pixel}`;
    return;
  }
  const x = ((at.x - (now.width - 1) / 2) / now.fPx) * z;
  const y = ((at.y - (now.height - 1) / 2) / now.fPx) * z;
  const along = `depth ${length(z)}`, ray = `distance ${length(Math.hypot(x, y, z))}`;
  const both = now.kind === 'ray' ? `${ray} · ${along}` : `${along} · ${ray}`;
  readout.textContent = `${both} · ${length(Math.abs(x))} ${x < 0 ? 'left' : 'right'}, `
    + `${length(Math.abs(y))} ${y < 0 ? 'up' : 'down'} · ${pixel}`;
}

function place(event) {
  const box = stage.getBoundingClientRect();
  const keep = (value, size) => Math.min(size - 1, Math.max(0, value));
  return {
    x: keep(((event.clientX - box.left) / box.width) * now.width - 0.5, now.width),
    y: keep(((event.clientY - box.top) / box.height) * now.height - 0.5, now.height),
  };
}

const choose = () => { if (CLICKABLE && now.photo && at) trigger('click', at); };

let dragging = false;
find('.divider').addEventListener('pointerdown', (event) => {
  dragging = true;
  stage.setPointerCapture(event.pointerId);
  event.preventDefault();
});
stage.addEventListener('pointermove', (event) => {
  if (!now.photo) return;
  at = place(event);
  if (dragging) {
    split.value = (100 * (at.x + 0.5)) / now.width;
    divide();
  }
  tell();
});
stage.addEventListener('pointerleave', () => { if (!dragging) { at = null; tell(); } });
stage.addEventListener('pointerup', (event) => {
  if (dragging) { dragging = false; return; }
  if (!now.photo) return;
  at = place(event);
  tell();
  choose();
});
stage.addEventListener('pointercancel', () => { dragging = false; });
stage.addEventListener('keydown', (event) => {
  const steps = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  if (!now.photo) return;
  if (event.key === 'Enter') { choose(); event.preventDefault(); }
  const step = steps[event.key];
  if (!step) return;
  const size = event.shiftKey ? 1 : Math.max(1, now.width / 64);
  const from = at || { x: (now.width - 1) / 2, y: (now.height - 1) / 2 };
  at = {
    x: Math.min(now.width - 1, Math.max(0, from.x + step[0] * size)),
    y: Math.min(now.height - 1, Math.max(0, from.y + step[1] * size)),
  };
  event.preventDefault();
  tell();
});
split.addEventListener('input', divide);
watch('value', () => update(props.value));
update(props.value);
