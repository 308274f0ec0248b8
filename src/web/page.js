// Live parts, countdown, copying. The page is complete without any of it.
'use strict';

const connection = document.getElementById('connection');

// The same page again: its live parts take the place of ours.
const shown = new WeakMap();
let asking = false;
let again = false;
async function refresh() {
  if (asking) {
    again = true;
    return;
  }
  asking = true;
  try {
    const answer = await fetch(location.href, { headers: { 'X-Clusteria-Live': '1' } });
    if (!answer.ok || answer.redirected) return location.reload();
    const fresh = new DOMParser().parseFromString(await answer.text(), 'text/html');
    for (const part of document.querySelectorAll('[data-live]')) {
      const next = fresh.getElementById(part.id);
      if (next && next.innerHTML !== shown.get(part)) replace(part, next);
    }
  } catch {
    // The stream says when it is there again.
  } finally {
    asking = false;
    if (again) {
      again = false;
      refresh();
    }
  }
}

// What was chosen and where the reader is stays.
function replace(part, next) {
  const chosen = part.querySelector('input[type=radio]:checked')?.id;
  const focus = part.contains(document.activeElement) ? document.activeElement.id : '';
  shown.set(part, next.innerHTML);
  part.replaceChildren(...next.childNodes);
  const radio = chosen && document.getElementById(chosen);
  if (radio && !radio.disabled) radio.checked = true;
  if (focus) document.getElementById(focus)?.focus();
  dress(part);
}

// Buttons that only a script can serve.
function dress(part) {
  for (const button of part.querySelectorAll('[data-copy]')) {
    button.hidden = false;
    button.addEventListener('click', () => copy(button));
  }
  const end = part.querySelector('[data-left]');
  if (end) end.dataset.end = String(Date.now() + Number(end.dataset.left) * 1000);
}

async function copy(button) {
  const text = document.getElementById(button.dataset.copy).textContent;
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // Not over plain HTTP: then the old way.
    const range = document.createRange();
    range.selectNodeContents(document.getElementById(button.dataset.copy));
    getSelection().removeAllRanges();
    getSelection().addRange(range);
    document.execCommand('copy');
  }
  const words = button.textContent;
  button.textContent = button.dataset.done;
  connection.textContent = button.dataset.done;
  setTimeout(() => {
    button.textContent = words;
    connection.textContent = connection.dataset.liveWords;
  }, 2000);
}

// Minutes change what is said; the page says it in the reader's language.
function count() {
  if (document.hidden) return;
  for (const end of document.querySelectorAll('[data-end]')) {
    const minutes = Math.floor((Number(end.dataset.end) - Date.now()) / 60000);
    if (end.dataset.minutes && Number(end.dataset.minutes) !== minutes) refresh();
    end.dataset.minutes = String(minutes);
  }
}

// While somebody sees the page. One behind other tabs asks for nothing, and for the newest as soon as it is in front again.
let events;
function listen() {
  hush();
  if (document.hidden) return;
  const stream = new EventSource(document.getElementById('use') ? '/live?use' : '/live');
  events = stream;
  stream.addEventListener('open', () => { connection.textContent = connection.dataset.liveWords; });
  stream.addEventListener('change', refresh);
  stream.addEventListener('error', () => {
    if (stream.readyState !== EventSource.CLOSED) {
      connection.textContent = connection.dataset.lostWords;
    } else {
      setTimeout(() => { if (events === stream) listen(); }, 5000);
    }
  });
}

function hush() {
  events?.close();
  events = undefined;
}

for (const part of document.querySelectorAll('[data-live]')) shown.set(part, part.innerHTML);
dress(document);
if (document.querySelector('[data-live]')) {
  listen();
  document.addEventListener('visibilitychange', listen);
  // A connection that waits would keep the next page waiting: browsers open six to a host.
  addEventListener('pagehide', hush);
}
setInterval(count, 1000);
