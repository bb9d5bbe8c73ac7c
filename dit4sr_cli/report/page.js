const one = (selector) => document.querySelector(selector);
const body = one('tbody'), rows = [...body.rows], heads = [...document.querySelectorAll('th')];
const form = one('form'), none = one('#none'), view = one('dialog');
const plain = (text) => text.normalize().toLowerCase();
const texts = new Map(rows.map((row) => [row, plain(row.textContent)]));

// Which rows are shown.
function filter() {
  const text = plain(form.elements.find.value.trim());
  const status = form.elements.status.value;
  let count = 0;
  for (const row of rows) {
    const fits = (!status || row.className === status) && texts.get(row).includes(text);
    row.hidden = !fits;
    count += fits;
  }
  one('#shown').textContent = `${count} of ${rows.length}`;
  none.hidden = count > 0;
}
form.addEventListener('input', filter);
form.addEventListener('submit', (event) => event.preventDefault());
form.hidden = false;
filter(); // a browser that goes back keeps what was typed

// In which order: up, down, and as it was.
const words = new Intl.Collator(undefined, {numeric: true, sensitivity: 'base'}).compare;
const key = (row, column) => row.cells[column].dataset.sort ?? row.cells[column].textContent;
function sort(head, column) {
  const next = {ascending: 'descending', descending: ''}[head.getAttribute('aria-sort')] ?? 'ascending';
  heads.forEach((other) => other.removeAttribute('aria-sort'));
  if (next) head.setAttribute('aria-sort', next);
  const sign = next === 'descending' ? -1 : 1;
  const compare = head.className === 'n' ? (a, b) => a - b : words;
  const by = (a, b) => sign * compare(key(a, column), key(b, column));
  body.append(...(next ? [...rows].sort(by) : rows));
}
heads.forEach((head, column) => {
  head.querySelector('button')?.addEventListener('click', () => sort(head, column));
});

// One picture, before and after.
const stage = one('.stage'), wipe = one('.stage input'), pictures = [new Image(), new Image()];
pictures.forEach((picture) => { picture.alt = ''; });
stage.prepend(...pictures);
const shown = () => [...body.querySelectorAll('tr:not([hidden]) button.pair')];
let current;
function show(pair) {
  if (!pair) return;
  current = pair;
  const {before, after, width, height} = pair.dataset, all = shown(), at = all.indexOf(pair);
  [pictures[0].src, pictures[1].src] = [before, after];
  stage.style.aspectRatio = `${width} / ${height}`;
  stage.style.width = `min(${2 * width}px, ${62 * width / height}dvh)`;
  one('h2').textContent = pair.closest('tr').querySelector('.name').textContent;
  one('#crop').textContent = `${width} x ${height}`;
  one('#at').textContent = `${at + 1} of ${all.length}`;
  one('#previous').disabled = !all[at - 1];
  one('#next').disabled = !all[at + 1];
}
const go = (step) => show(shown()[shown().indexOf(current) + step]);
const move = () => stage.style.setProperty('--at', `${wipe.value}%`);
wipe.addEventListener('input', move);
move();
body.addEventListener('click', (event) => {
  const pair = event.target.closest('button.pair');
  if (pair) { show(pair); view.showModal(); }
});
view.addEventListener('click', (event) => { if (event.target === view) view.close(); });
one('#previous').addEventListener('click', () => go(-1));
one('#next').addEventListener('click', () => go(1));
one('#close').addEventListener('click', () => view.close());
