// The picture component. Values are merged into `now`; what is not in them stays as it is.
const find = (name) => element.querySelector(name);
const stage = find('.stage'), photo = find('.photo'), over = find('.over');
const divider = find('.divider'), readout = find('.readout'), cross = find('.cross');
const TOUCH = window.matchMedia('(pointer: coarse)').matches;
const HINT = TOUCH ? 'Tap the picture to read its depth.'
  : 'Point at the picture, or use the arrow keys, to read its depth.';
const PICK = TOUCH ? 'Tap to choose points.'
  : 'Click to choose points; with the keyboard: arrow keys, then Enter.';
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const keep = (value, last) => Math.min(last, Math.max(0, value));
let now = {}, codes = null; // the photo, and its packed inverse depth
let at = null; // what the pointer is at, in pixels of the photo
let percent = 50, dragging = false, press = null;

function show(image, uri, alt) {
  image.hidden = !uri;
  if (uri && image.src !== uri) image.src = uri;
  if (!uri) image.removeAttribute('src');
  image.alt = alt || '';
}

function divide(value) {
  percent = keep(value, 100);
  const two = Boolean(now.over);
  over.style.clipPath = `inset(0 0 0 ${percent}%)`;
  divider.style.left = `${percent}%`;
  divider.setAttribute('aria-valuenow', Math.round(percent));
  divider.setAttribute('aria-valuetext', `${Math.round(percent)} % photo`);
  divider.hidden = !two;
  find('.name.left').hidden = !two || percent < 20;
  find('.name.right').hidden = !two || percent > 80;
}

// Inverse of `demo.screen.packed`.
async function unpack(text) {
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const inflated = new Blob([bytes]).stream().pipeThrough(new DecompressionStream('deflate'));
  const planes = new Uint8Array(await new Response(inflated).arrayBuffer());
  const count = planes.length / 2, values = new Uint16Array(count);
  for (let i = 0, last = 0; i < count; i += 1) {
    const signed = (planes[i] << 8) | planes[count + i];
    last += (signed >> 1) ^ -(signed & 1);
    values[i] = last;
    last = values[i];
  }
  return values;
}

function draw() {
  show(photo, now.photo, now.photoAlt);
  show(over, now.over, now.overAlt);
  find('.name.right').textContent = now.overName || 'Depth';
  find('.drawing').innerHTML = now.svg || '';
  find('.empty').textContent = now.photo ? '' : now.empty || '';
  stage.style.setProperty('--aspect', now.photo ? now.width / now.height : 1.5);
  divide(percent);
  tell();
}

async function update(value) {
  if (!value || typeof value !== 'object') return;
  if ('photo' in value) document.body.classList.remove('estimating');
  if ('photo' in value && value.photo !== now.photo) { at = null; codes = null; }
  percent = value.percent ?? percent;
  const known = value.map && value.map === now.map && codes;
  now = { ...now, ...value };
  draw();
  if (!value.map || known) return;
  const unpacked = await unpack(value.map);
  if (now.map !== value.map) return; // another photo came in the meantime
  codes = unpacked;
  tell();
}

// Depth in metres along the axis at a pixel, as `Prediction.depth` has it: inverse depth
// interpolated between the four samples around it, then clamped.
function depthAt(x, y) {
  const sample = (row, column) => {
    const code = codes[row * now.side + column];
    return code && now.least * Math.exp((code - 1) * now.step);
  };
  const last = now.side - 1;
  const u = keep(((x + 0.5) * now.side) / now.width - 0.5, last), left = Math.floor(u);
  const v = keep(((y + 0.5) * now.side) / now.height - 0.5, last), top = Math.floor(v);
  const across = (row) => sample(row, left) * (1 - u + left)
    + sample(row, Math.min(last, left + 1)) * (u - left);
  const inverse = across(top) * (1 - v + top) + across(Math.min(last, top + 1)) * (v - top);
  return Math.min(now.maxM, Math.max(now.minM, now.fPx / (now.width * inverse)));
}

// As `demo.units.length`, but with a fixed count of digits, so that the numbers stand still.
function length(metres, digits = 4) {
  const sizes = now.units === 'ft'
    ? [['mi', 1609.344, 0.3048 * 999.5], ['ft', 0.3048, 0.3048], ['in', 0.0254, 0]]
    : [['km', 1000, 999.5], ['m', 1, 0.1], ['cm', 0.01, 0]];
  const [name, size] = sizes.find((each) => metres >= each[2]);
  const exponent = Number((metres / size).toExponential(digits - 1).split('e')[1]);
  return `${(metres / size).toFixed(keep(digits - 1 - exponent, digits))} ${name}`;
}

const limit = (metres) => length(metres, 3).replace(/^\S+/, (number) => `${Number(number)}`);

function cells(...pairs) {
  readout.replaceChildren(...pairs.map(([name, value]) => {
    const cell = document.createElement('span'), label = document.createElement('small');
    label.textContent = name;
    cell.append(label, ` ${value}`);
    return cell;
  }));
}

function tell() {
  cross.hidden = !at || dragging;
  if (!at || !codes) {
    readout.textContent = now.photo ? now.hint || (CLICKABLE ? PICK : HINT) : '';
    return;
  }
  cross.style.left = `${((at.x + 0.5) / now.width) * 100}%`;
  cross.style.top = `${((at.y + 0.5) / now.height) * 100}%`;
  const column = Math.round(at.x), row = Math.round(at.y), z = depthAt(column, row);
  const pixel = ['pixel', `${column}, ${row}`];
  if (z >= now.skyM) {
    cells(['depth', `sky, or over ${limit(now.skyM)}`], pixel);
    return;
  }
  if (z <= now.minM) {
    cells(['depth', `under ${limit(now.minM)}`], pixel);
    return;
  }
  const x = ((column - (now.width - 1) / 2) / now.fPx) * z;
  const y = ((row - (now.height - 1) / 2) / now.fPx) * z;
  const depth = ['depth', length(z)], distance = ['distance', length(Math.hypot(x, y, z))];
  cells(
    ...(now.kind === 'ray' ? [distance, depth] : [depth, distance]),
    ['from the axis', `${length(Math.abs(x), 3)} ${x < 0 ? 'left' : 'right'}, `
      + `${length(Math.abs(y), 3)} ${y < 0 ? 'up' : 'down'}`],
    pixel,
  );
}

function place(event) {
  const box = stage.getBoundingClientRect();
  return {
    x: keep(((event.clientX - box.left) / box.width) * now.width - 0.5, now.width - 1),
    y: keep(((event.clientY - box.top) / box.height) * now.height - 0.5, now.height - 1),
  };
}

function follow(event) {
  at = place(event);
  tell();
}

const choose = () => { if (CLICKABLE && now.photo && at) trigger('click', at); };

divider.addEventListener('pointerdown', (event) => {
  if (!event.isPrimary || event.button) return;
  dragging = true;
  at = null;
  divider.setPointerCapture(event.pointerId);
  tell();
});
divider.addEventListener('pointermove', (event) => {
  if (!dragging) return;
  const box = stage.getBoundingClientRect();
  divide((100 * (event.clientX - box.left)) / box.width);
});
divider.addEventListener('lostpointercapture', () => { dragging = false; });
divider.addEventListener('keydown', (event) => {
  const to = { Home: 0, End: 100, PageDown: percent - 20, PageUp: percent + 20 }[event.key];
  const [right, down] = ARROWS[event.key] || [0, 0];
  if (to === undefined && !right && !down) return;
  divide(to === undefined ? percent + 2 * (right - down) : to);
  event.preventDefault();
  event.stopPropagation(); // the crosshair stays
});

// A finger that rests or taps reads as a mouse does, and what it read stays; a press that ends
// elsewhere, as a scroll does, chooses nothing.
stage.addEventListener('pointerdown', (event) => {
  press = null;
  if (!now.photo || dragging || !event.isPrimary || event.button) return;
  press = [event.clientX, event.clientY];
  follow(event);
});
stage.addEventListener('pointermove', (event) => {
  if (now.photo && !dragging && event.isPrimary) follow(event);
});
stage.addEventListener('pointerleave', (event) => {
  if (event.pointerType === 'touch') return;
  at = null;
  tell();
});
stage.addEventListener('pointerup', (event) => {
  if (!press || dragging || !event.isPrimary) return;
  const moved = Math.hypot(event.clientX - press[0], event.clientY - press[1]);
  press = null;
  follow(event);
  if (moved <= 10) choose();
});
stage.addEventListener('pointercancel', () => { press = null; });
stage.addEventListener('keydown', (event) => {
  if (!now.photo || event.ctrlKey || event.altKey || event.metaKey) return;
  const step = ARROWS[event.key];
  if (event.key === 'Escape') at = null;
  else if (event.key === 'Enter' || event.key === ' ') choose();
  else if (step) {
    const size = event.shiftKey ? 1 : Math.max(1, Math.round(now.width / 64));
    const from = at || { x: Math.floor(now.width / 2), y: Math.floor(now.height / 2) };
    at = {
      x: keep(Math.round(from.x) + step[0] * size, now.width - 1),
      y: keep(Math.round(from.y) + step[1] * size, now.height - 1),
    };
  } else return;
  event.preventDefault();
  tell();
});
// A photo that was just chosen is shown at once; its depth comes later.
window.addEventListener('depthpro-photo', ({ detail }) => {
  document.body.classList.add('estimating'); // figures of the former photo fade
  const image = new Image();
  image.onload = () => {
    [at, codes] = [null, null];
    const [width, height] = [image.naturalWidth, image.naturalHeight];
    now = { ...now, photo: detail, width, height, photoAlt: '', map: null, over: null, svg: '' };
    draw();
  };
  image.src = detail;
});
watch('value', () => update(props.value));
update(props.value);
