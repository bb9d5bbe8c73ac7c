const {size: [width, height], pictures, places} = JSON.parse(one('#data').textContent);
const stage = one('#stage'), panes = all('.pane'), line = one('#line'), lens = one('#lens');
const [left, right] = [one('#left'), one('#right')], cards = all('.place');
const box = (element, [x, y, w, h], unit = 'px') => Object.assign(element.style, {
  left: `${x}${unit}`, top: `${y}${unit}`, width: `${w}${unit}`, height: `${h}${unit}`,
});

// Every picture in the size of the largest. What is reduced has its places at their full size above.
const crop = (place, picture) => cards[place].querySelector(`[data-picture="${picture}"] img`);
const parts = pictures.map(({reduced}, number) => {
  const layer = panes[number].querySelector('.layer'), whole = layer.querySelector('img');
  const found = [{image: whole, box: [0, 0, width, height]}];
  for (const [at, {around}] of reduced ? places.entries() : []) {
    const image = new Image();
    Object.assign(image, {src: crop(at, number).src, alt: '', draggable: false});
    layer.append(image);
    found.push({image, box: around});
  }
  for (const part of found) box(part.image, part.box);
  const mark = document.createElement('div');
  mark.className = 'mark';
  layer.append(mark);
  return found;
});

const many = panes.length > 2;
let mode = 'slider', magnifies = false, point = [width / 2, height / 2];
const shown = () => (mode === 'every' ? [...panes.keys()] : [+left.value, +right.value]);
const pictured = inStep({
  surface: stage,
  near: () => panes[right.value].querySelector('.view'),
  layer: (view) => view.firstElementChild,
  drag: dragged,
  drawn({zoom, fits}) {
    stage.classList.toggle('fits', fits);
    stage.style.setProperty('--zoom', zoom);
    one('#where').textContent = `${pictures[right.value].size} pixels, at ${Math.round(100 * zoom)} %`;
    for (const button of all('#zoom button')) {
      const wanted = button.dataset.zoom;
      button.setAttribute('aria-pressed', wanted === 'fit' ? fits : !fits && zoom === +wanted);
    }
    look();
  },
});
const {at} = pictured;

// Which pictures, and how.
function arrange() {
  stage.classList.remove('slider', 'sides', 'every');
  stage.classList.add(mode);
  const visible = shown();
  panes.forEach((pane, number) => {
    pane.hidden = !visible.includes(number);
    pane.classList.toggle('left', number === +left.value);
    pane.classList.toggle('right', mode !== 'every' && number === +right.value);
    pane.style.order = mode === 'every' ? '' : number === +left.value ? 0 : 1;
    pane.style.zIndex = mode === 'slider' && number === +right.value ? 1 : '';
  });
  one('#choice').hidden = mode === 'every';
  // Cards show what is compared; where all is, all.
  for (const each of all('.crop')) each.hidden = !visible.includes(+each.dataset.picture);
  lens.replaceChildren(...visible.map(glass));
  pictured.draw();
}
const before = {left: '0', right: '1'};
function choose(side, value) {
  const other = side === left ? right : left;
  side.value = value;
  // Chosen on both sides, it changes places with what was here.
  if (other.value === side.value) other.value = before[side.id];
  for (const each of [left, right]) before[each.id] = each.value;
  arrange();
}
const swap = () => choose(left, right.value);
for (const side of [left, right]) side.addEventListener('change', () => choose(side, side.value));
const step = (by) => {
  const others = [...panes.keys()].filter((number) => number !== +left.value);
  choose(right, others[(others.indexOf(+right.value) + by + others.length) % others.length]);
};
function setMode(value) {
  mode = value;
  one(`#mode [value=${mode}]`).checked = true;
  arrange();
}
const MODES = many ? ['slider', 'sides', 'every'] : ['slider', 'sides'];
one('#mode').addEventListener('change', ({target}) => setMode(target.value));
one('#swap').addEventListener('click', swap);
one('#every').hidden = !many;
one('#bar').classList.toggle('two', !many);
for (const side of [left, right]) side.hidden = !many;

// The line between left and right; where nothing can be panned, any place of the picture takes it.
const part = (value) => {
  line.value = value;
  stage.style.setProperty('--at', `${line.value}%`);
};
line.addEventListener('input', () => part(line.value));
const within = (event) => {
  // The line lies above the views.
  const view = event.target.closest('.view') ?? panes[right.value].querySelector('.view');
  const [x, y] = pictured.place(event, view);
  return [
    at.x + (x - view.clientWidth / 2) / at.zoom, at.y + (y - view.clientHeight / 2) / at.zoom,
  ];
};
function dragged(event) {
  if (magnifies && event.pointerType !== 'mouse') {
    look(within(event));
    return true;
  }
  if (mode !== 'slider' || !at.fits || magnifies) return false;
  const edge = stage.getBoundingClientRect();
  part(100 * clamp((event.clientX - edge.left) / edge.width, 0, 1));
  return true;
}

// The lens: what is at a point, at four times its size or twice what is shown.
function glass(number) {
  const figure = document.createElement('figure'), label = document.createElement('figcaption');
  label.textContent = pictures[number].label;
  figure.append(document.createElement('canvas'), label);
  figure.dataset.picture = number;
  return figure;
}
function look(to = point) {
  point = [clamp(to[0], 0, width), clamp(to[1], 0, height)];
  if (!magnifies) return;
  const zoom = Math.max(4, 2 * at.zoom), side = stage.clientWidth < 560 ? 140 : 190;
  const dots = devicePixelRatio, reach = side / zoom;
  for (const figure of lens.children) {
    const canvas = figure.querySelector('canvas'), context = canvas.getContext('2d');
    canvas.width = canvas.height = side * dots;
    canvas.style.width = canvas.style.height = `${side}px`;
    context.imageSmoothingEnabled = !stage.classList.contains('squares');
    context.imageSmoothingQuality = 'high';
    context.scale(zoom * dots, zoom * dots);
    context.translate(reach / 2 - point[0], reach / 2 - point[1]);
    for (const {image, box: [x, y, w, h]} of parts[figure.dataset.picture]) {
      const apart = x > point[0] + reach || x + w < point[0] - reach
        || y > point[1] + reach || y + h < point[1] - reach;
      if (!apart && image.complete) context.drawImage(image, x, y, w, h);
    }
  }
  // Above the point, which stays to be seen; below it where there is no room.
  const view = panes[right.value].querySelector('.view');
  const edge = stage.getBoundingClientRect(), inner = view.getBoundingClientRect();
  const x = (point[0] - at.x) * at.zoom + view.clientWidth / 2 + inner.left - edge.left;
  const y = (point[1] - at.y) * at.zoom + view.clientHeight / 2 + inner.top - edge.top;
  const room = [stage.clientWidth - lens.offsetWidth, stage.clientHeight - lens.offsetHeight];
  const above = y - lens.offsetHeight - 24;
  lens.style.translate = `${clamp(x - lens.offsetWidth / 2, 0, Math.max(0, room[0]))}px
    ${clamp(above < 0 ? y + 24 : above, 0, Math.max(0, room[1]))}px`;
}
function magnify(on = !magnifies) {
  magnifies = on;
  lens.hidden = !on;
  stage.classList.toggle('lens', on);
  one('#magnify').setAttribute('aria-pressed', on);
  if (on) look([at.x, at.y]);
}
stage.addEventListener('pointermove', (event) => {
  if (magnifies) look(within(event));
});
one('#magnify').addEventListener('click', () => magnify());

// Places.
let current = -1;
function goToPlace(number) {
  current = (number + places.length) % places.length;
  const {box: [x, y, w, h], results} = places[current];
  cards.forEach((card, each) => {
    if (each === current) card.setAttribute('aria-current', 'true'); else card.removeAttribute('aria-current');
  });
  if (mode !== 'every' && !results.some((result) => shown().includes(result))) choose(right, results[0]);
  part(50);
  pictured.goTo(x + w / 2, y + h / 2, 4);
  for (const mark of all('.mark')) {
    box(mark, places[current].box);
    mark.classList.remove('seen');
    void mark.offsetWidth; // or the animation would not start again
    mark.classList.add('seen');
  }
  look([x + w / 2, y + h / 2]);
  one('#viewer').scrollIntoView({block: 'nearest'});
}
cards.forEach((card, number) => {
  card.addEventListener('click', () => goToPlace(number));
  // Crops are drawn 1.6 times as large as their frame, with the place in its middle or near it.
  const {box: [x, y, w, h], around: [left, top, wide, high]} = places[number];
  const from = (middle) => clamp(50 - 160 * middle, -60, 0);
  const [x0, y0] = [from((x + w / 2 - left) / wide), from((y + h / 2 - top) / high)];
  for (const each of card.querySelectorAll('.crop')) {
    const frame = document.createElement('i');
    box(each.querySelector('img'), [x0, y0, 160, 160], '%');
    box(frame, [x0 + 160 * (x - left) / wide, y0 + 160 * (y - top) / high, 160 * w / wide, 160 * h / high], '%');
    each.append(frame);
  }
});

// Everything else that can be pressed.
one('#zoom').addEventListener('click', ({target: {dataset}}) => {
  if (dataset.zoom === 'fit') pictured.showAll();
  else if (dataset.zoom) pictured.zoomTo(+dataset.zoom);
});
function squares() {
  const on = stage.classList.toggle('squares');
  one('#pixels').setAttribute('aria-pressed', on);
  look();
}
one('#pixels').addEventListener('click', squares);
const fill = () => {
  if (document.fullscreenElement) document.exitFullscreen(); else one('#viewer').requestFullscreen();
};
one('#full').hidden = !document.fullscreenEnabled;
one('#full').addEventListener('click', fill);

const ARROWS = {ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1]};
const KEYS = {
  '+': () => pictured.zoomTo(at.zoom * 2), '=': () => pictured.zoomTo(at.zoom * 2),
  '-': () => pictured.zoomTo(at.zoom / 2), 0: pictured.showAll, 1: () => pictured.zoomTo(1),
  2: () => pictured.zoomTo(2), 4: () => pictured.zoomTo(4), x: swap, '[': () => step(-1),
  ']': () => step(1), l: () => magnify(), p: squares, f: fill,
  s: () => setMode(MODES[(MODES.indexOf(mode) + 1) % MODES.length]),
};
function moved(right, down) {
  if (magnifies) look([point[0] + 16 * right / at.zoom, point[1] + 16 * down / at.zoom]);
  else if (!at.fits) pictured.pan(64 * right, 64 * down);
  else if (mode === 'slider' && right) part(+line.value + 2 * right);
  else return false;
  return true;
}
function pressed(event) {
  const {key, target} = event;
  if (event.ctrlKey || event.metaKey || event.altKey || target.tagName === 'SELECT') return false;
  if (ARROWS[key]) return target === stage && moved(...ARROWS[key]);
  if (key === ' ' && !target.closest('button, summary, label')) {
    stage.style.setProperty('--at', '100%');
    return true;
  }
  if (key.toLowerCase() === 'n' && places.length) {
    goToPlace(current + (event.shiftKey ? -1 : 1) + (current < 0 && event.shiftKey ? 1 : 0));
    return true;
  }
  if (key === 'Escape' && magnifies) magnify(false);
  else if (KEYS[key.toLowerCase()] && !event.repeat) KEYS[key.toLowerCase()]();
  else return false;
  return true;
}
document.addEventListener('keydown', (event) => { if (pressed(event)) event.preventDefault(); });
document.addEventListener('keyup', ({key}) => { if (key === ' ') part(line.value); });
addEventListener('blur', () => part(line.value));

one('#viewer').hidden = false;
stage.style.setProperty('--ratio', width / height);
[left.value, right.value] = ['0', '1'];
Object.assign(at, {width, height});
part(50);
arrange();
