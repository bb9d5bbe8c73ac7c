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

// Three pictures that move as one; the first, the input, may have less room.
const views = all('.view'), images = all('.view img'), panes = one('#panes');
let shown = '';
const trio = inStep({
  surface: panes, near: () => views[1], layer: (view) => view.firstElementChild,
  drawn({zoom, fits}) {
    panes.classList.toggle('sharp', zoom >= 1);
    one('#size').textContent = `${shown}, at ${Math.round(100 * zoom)} %`;
    for (const button of all('#zoom button')) {
      const {zoom: wanted} = button.dataset;
      button.setAttribute('aria-pressed', wanted === 'fit' ? fits : !fits && zoom === +wanted);
    }
  },
});
one('#zoom').addEventListener('click', ({target: {dataset}}) => {
  if (dataset.zoom === 'fit') trio.showAll();
  else if (dataset.zoom) trio.zoomTo(+dataset.zoom);
});

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
  const [width, height] = item.size;
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
  trio.showSize(width, height);
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
  '+': () => trio.zoomTo(trio.at.zoom * 2), '=': () => trio.zoomTo(trio.at.zoom * 2),
  '-': () => trio.zoomTo(trio.at.zoom / 2),
  0: trio.showAll, 1: () => trio.zoomTo(1), 2: () => trio.zoomTo(2), 4: () => trio.zoomTo(4),
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
