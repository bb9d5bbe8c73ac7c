const one = (selector) => document.querySelector(selector);
const all = (selector) => [...document.querySelectorAll(selector)];
const study = JSON.parse(one('#study').textContent), {items} = study;
const QUESTIONS = ['realism', 'fidelity'], ANSWERS = {a: 'left', b: 'right', t: 'undecided'};

// What was answered, and what of it the browser keeps.
const store = `dit4sr study ${study.page}`;
const hex = (bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
function fresh() {
  return {
    session: hex(crypto.getRandomValues(new Uint8Array(8))), rater: '', at: -1,
    started_at: new Date().toISOString(),
    votes: items.map(() => ({realism: null, fidelity: null})),
  };
}
function remembered() {
  try {
    const state = JSON.parse(localStorage.getItem(store));
    return state?.votes?.length === items.length ? state : null;
  } catch { return null; }
}
function remember() {
  try { localStorage.setItem(store, JSON.stringify(state)); return true; } catch { return false; }
}
const found = remembered();
let state = found ?? fresh();
const isFull = (vote) => QUESTIONS.every((question) => vote[question]);
const answered = () => state.votes.filter(isFull).length;

// Three pictures that move as one: x and y of the picture are in the middle of each view.
const views = all('.view'), images = all('.view img'), panes = one('#panes');
let shown = '', zoom = 1, x = 0, y = 0, fits = true, width = 1, height = 1;
const clamp = (value, low, high) => Math.min(Math.max(value, low), high);
function fit() {
  // A picture that is smaller than its view grows by whole numbers, which keeps its pixels equal.
  const scale = Math.min(...views.slice(1).map(
    (view) => Math.min(view.clientWidth / width, view.clientHeight / height)));
  return scale > 1 ? Math.floor(scale) : scale;
}
function draw() {
  if (fits) [zoom, x, y] = [fit(), width / 2, height / 2];
  const near = views[1], half = [near.clientWidth / zoom / 2, near.clientHeight / zoom / 2];
  x = half[0] * 2 >= width ? width / 2 : clamp(x, half[0], width - half[0]);
  y = half[1] * 2 >= height ? height / 2 : clamp(y, half[1], height - half[1]);
  images.forEach((image, at) => {
    const left = views[at].clientWidth / 2 - x * zoom, top = views[at].clientHeight / 2 - y * zoom;
    image.style.transform = `translate(${left}px, ${top}px) scale(${zoom})`;
  });
  panes.classList.toggle('sharp', zoom >= 1);
  one('#size').textContent = `${shown}, at ${Math.round(100 * zoom)} %`;
  for (const button of all('#zoom button')) {
    const {zoom: wanted} = button.dataset;
    button.setAttribute('aria-pressed', wanted === 'fit' ? fits : !fits && zoom === +wanted);
  }
}
// Keeps what is under a point of a view where it is.
function zoomTo(wanted, view = views[1], left = view.clientWidth / 2, top = view.clientHeight / 2) {
  const next = clamp(wanted, Math.min(fit(), 1), 8);
  const from = [left - view.clientWidth / 2, top - view.clientHeight / 2];
  x += from[0] / zoom - from[0] / next;
  y += from[1] / zoom - from[1] / next;
  [zoom, fits] = [next, next <= fit() && next < 1];
  draw();
}
function showAll() { fits = true; draw(); }
const place = (event, view) => {
  const box = view.getBoundingClientRect();
  return [event.clientX - box.left - view.clientLeft, event.clientY - box.top - view.clientTop];
};
views.forEach((view) => {
  const fingers = new Map();
  const spread = () => {
    const [one, two] = [...fingers.values()];
    return Math.hypot(one[0] - two[0], one[1] - two[1]);
  };
  view.addEventListener('pointerdown', (event) => {
    if (event.button) return;
    view.setPointerCapture(event.pointerId);
    fingers.set(event.pointerId, place(event, view));
    view.classList.add('moving');
  });
  view.addEventListener('pointermove', (event) => {
    const before = fingers.get(event.pointerId), now = place(event, view);
    if (!before) return;
    const wide = fingers.size === 2 && spread();
    fingers.set(event.pointerId, now);
    x -= (now[0] - before[0]) / zoom / fingers.size;
    y -= (now[1] - before[1]) / zoom / fingers.size;
    if (wide) {
      const [one, two] = [...fingers.values()];
      zoomTo(zoom * spread() / wide, view, (one[0] + two[0]) / 2, (one[1] + two[1]) / 2);
    } else {
      draw();
    }
  });
  for (const kind of ['pointerup', 'pointercancel']) {
    view.addEventListener(kind, (event) => {
      fingers.delete(event.pointerId);
      view.classList.toggle('moving', fingers.size > 0);
    });
  }
  view.addEventListener('wheel', (event) => {
    event.preventDefault();
    zoomTo(zoom * 2 ** (-event.deltaY / 400), view, ...place(event, view));
  }, {passive: false});
  view.addEventListener('dblclick', (event) => {
    if (fits && zoom < 1) zoomTo(1, view, ...place(event, view));
    else if (fits) zoomTo(zoom * 2, view, ...place(event, view));
    else showAll();
  });
});
one('#zoom').addEventListener('click', ({target: {dataset}}) => {
  if (dataset.zoom === 'fit') showAll();
  else if (dataset.zoom) zoomTo(+dataset.zoom);
});
addEventListener('resize', () => { if (items[state.at]) draw(); });

// Where one is: before the first picture, at one, or after the last.
const form = one('#questions'), ahead = new Image();
let asked = 0;
function show() {
  const {at} = state, item = items[at];
  one('#start').hidden = at >= 0;
  one('#trial').hidden = !item;
  one('#end').hidden = at < items.length;
  if (at < 0) showStart(); else if (item) showPicture(item, at); else showEnd();
  scrollTo(0, 0);
}
function go(to) {
  state.at = clamp(to, 0, items.length);
  remember();
  show();
}
function showStart() {
  one('#memory').textContent = remember() ? ''
    : 'This browser keeps nothing for such a page: do not reload it before you have saved your votes.';
}
function showPicture(item, at) {
  [width, height] = item.size;
  images.forEach((image, number) => {
    [image.src, image.width, image.height] = [item[['lr', 'left', 'right'][number]], width, height];
  });
  for (const question of QUESTIONS) check(question);
  const whole = `${item.whole[0]} × ${item.whole[1]}`, part = `${width} × ${height}`;
  shown = part === whole ? `${whole} pixels` : `the middle ${part} of ${whole} pixels`;
  one('#number').textContent = `${at + 1} of ${items.length}`;
  one('#back').disabled = at === 0;
  ahead.src = items[at + 1]?.left ?? '';
  ask(0);
  mark();
  showAll();
}
function ask(number) {
  asked = number;
  all('#questions fieldset').forEach((set, at) => set.classList.toggle('asked', at === asked));
}
function mark() {
  const count = answered(), bar = one('#progress');
  bar.setAttribute('aria-valuemax', items.length);
  bar.setAttribute('aria-valuenow', count);
  bar.style.setProperty('--done', `${100 * count / items.length}%`);
  one('#next').disabled = !isFull(state.votes[state.at]);
}
// Setting the value of a radio group to nothing would leave what was chosen before.
function check(question) {
  for (const radio of form.elements[question]) radio.checked = radio.value === state.votes[state.at][question];
}
function answer(question, value) {
  state.votes[state.at][question] = value;
  check(question);
  remember();
  ask(Math.min(QUESTIONS.indexOf(question) + 1, QUESTIONS.length - 1));
  mark();
}
form.addEventListener('change', ({target}) => answer(target.name, target.value));
form.addEventListener('focusin', ({target}) => ask(QUESTIONS.indexOf(target.name)));
form.addEventListener('submit', (event) => event.preventDefault());
const forward = () => { if (isFull(state.votes[state.at])) go(state.at + 1); };
const back = () => go(state.at - 1);
one('#next').addEventListener('click', forward);
one('#back').addEventListener('click', back);
one('#who').addEventListener('submit', (event) => {
  event.preventDefault();
  state.rater = one('#rater').value.trim();
  go(0);
});

const KEYS = {
  Enter: forward, Backspace: back,
  '+': () => zoomTo(zoom * 2), '=': () => zoomTo(zoom * 2), '-': () => zoomTo(zoom / 2),
  0: showAll, 1: () => zoomTo(1), 2: () => zoomTo(2), 4: () => zoomTo(4),
};
document.addEventListener('keydown', (event) => {
  if (!items[state.at] || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === 'Enter' && event.target.closest('button')) return; // it is pressed
  const value = ANSWERS[event.key.toLowerCase()], act = KEYS[event.key];
  if (value) answer(QUESTIONS[asked], value); else if (act && !event.repeat) act(); else return;
  event.preventDefault();
});

// What comes of it.
function showEnd() {
  const count = answered(), open = state.votes.findIndex((vote) => !isFull(vote));
  one('#verdict').textContent = open < 0 ? 'Done, thank you!' : `${count} of ${items.length} answered`;
  one('#missing').textContent = open < 0 ? '' : `Picture ${open + 1} is the first without an answer.`;
  one('#saved').textContent = '';
}
function votes() {
  const {session, rater, started_at} = state;
  return {
    schema: 1, kind: 'dit4sr study votes', page: study.page, seed: study.seed, session, rater,
    started_at, saved_at: new Date().toISOString(), key: study.key, votes: state.votes,
  };
}
one('#save').addEventListener('click', ({currentTarget: link}) => {
  const file = new Blob([`${JSON.stringify(votes(), null, 1)}\n`], {type: 'application/json'});
  URL.revokeObjectURL(link.href);
  link.href = URL.createObjectURL(file);
  const who = state.rater.normalize('NFKD').replace(/[^\w-]+/g, '') || state.session.slice(0, 6);
  link.download = `votes-${study.page}-${who}.json`;
  one('#saved').textContent = `Saved as ${link.download}.`;
});
one('#review').addEventListener('click', () => {
  const open = state.votes.findIndex((vote) => !isFull(vote));
  go(open < 0 ? items.length - 1 : open);
});
one('#again').addEventListener('click', () => {
  if (!confirm('Forget these votes and start over? What is saved as a file stays.')) return;
  state = fresh();
  one('#rater').value = '';
  remember();
  show();
});
one('#rater').value = state.rater;
show();
