// The notice above the page: the server does not answer, or was restarted. A server that starts
// has forgotten the visitors, and may be of another version: the page is loaded anew, and takes
// the photo up again from the browser's cache. `before` is what the page was when it was left.
const KEY = `depthpro ${window.location.pathname}`, EVERY_MS = 4000;
const before = JSON.parse(sessionStorage.getItem(KEY) || '{}');
const SERVER = String(window.gradio_config.app_id);
sessionStorage.removeItem(KEY);

const tabs = () => [...document.querySelectorAll('#tabs [role=tab]')];
const button = (name) => document.querySelector(`#examples [data-name=${name}]`);
const example = () => document.querySelector('#examples [aria-pressed=true]')?.dataset.name;

function say(text, kind = 'banner') {
  const notice = document.createElement('p');
  notice.className = kind;
  notice.setAttribute('role', 'alert');
  notice.textContent = text;
  element.replaceChildren(...(text ? [notice] : []));
}

async function found(look, seconds = 10) {
  for (let tries = 0; tries < 10 * seconds; tries += 1) {
    const what = look();
    if (what) return what;
    await new Promise((resolve) => { setTimeout(resolve, 100); });
  }
  throw new Error('not on the page');
}

async function takeUp(photo) {
  const name = decodeURIComponent(photo.split('/').pop());
  const answer = await fetch(photo, { cache: 'force-cache' });
  if (!answer.ok) throw new Error('not in the cache');
  const files = new DataTransfer(), bytes = await answer.blob();
  // Servers do not know all kinds, and Gradio takes nothing that is not called a picture.
  const known = bytes.type.startsWith('image/');
  const type = known ? bytes.type : `image/${name.split('.').pop()}`;
  files.items.add(new File([bytes], name, { type }));
  const input = await found(() => document.querySelector('#photo input[type=file]'));
  input.files = files.files;
  input.dispatchEvent(new Event('change', { bubbles: true }));
}

async function goOn() {
  if (!before.server || before.server === SERVER) return;
  await found(() => tabs().length);
  tabs().find((each) => each.textContent === before.tab)?.click();
  if (before.example) (await found(() => button(before.example))).click();
  if (!before.photo) say('The server was restarted.');
  else {
    try {
      await found(() => document.querySelector('#summary .cards'), 60); // all else is there
      await takeUp(before.photo);
      say('The server was restarted. Your photo was taken up again; give points, numbers and '
        + 'files of yours once more.');
    } catch {
      say('The server was restarted and has lost your photo. Please choose it again.', 'problem');
    }
  }
}

// Null while it does not answer.
async function current() {
  try {
    const answer = await fetch('gradio_api/app_id', {
      cache: 'no-store', signal: AbortSignal.timeout(10000),
    });
    return answer.ok ? String((await answer.json()).app_id) : null;
  } catch { return null; }
}

let away = 0;
async function watchServer() {
  const now = await current();
  if (now && now !== SERVER) window.location.reload();
  else if (now) {
    if (away >= 2) say('');
    away = 0;
  } else {
    away += 1;
    if (away === 2) say('The server does not answer. This page goes on when it does.', 'problem');
  }
}

window.addEventListener('pagehide', () => {
  const tab = tabs().find((each) => each.ariaSelected === 'true');
  // depthproPhoto: the address of the last upload, see strip.py.
  const last = {
    server: SERVER, photo: window.depthproPhoto, example: example(), tab: tab?.textContent,
  };
  sessionStorage.setItem(KEY, JSON.stringify(last));
});
setInterval(watchServer, EVERY_MS);
goOn();
