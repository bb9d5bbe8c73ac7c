const one = (selector) => document.querySelector(selector);
const all = (selector) => [...document.querySelectorAll(selector)];
const clamp = (value, low, high) => Math.min(Math.max(value, low), high);

// Views of one picture that move as one: x and y of the picture are in the middle of each.
//   surface   what holds the views (.view), and takes pointers
//   near()    a view that shows, and that the whole picture is to fit
//   layer(v)  what moves in a view
//   drawn()   called after each change
//   drag(e)   takes a pointer that presses or drags, if it returns true: then nothing is panned
function inStep({surface, near, layer, drawn, drag = () => false}) {
  const views = [...surface.querySelectorAll('.view')];
  const at = {zoom: 1, x: 0, y: 0, fits: true, width: 1, height: 1};

  function fit() {
    // A picture that is smaller than its view grows by whole numbers, which keeps its pixels equal.
    const view = near();
    const scale = Math.min(view.clientWidth / at.width, view.clientHeight / at.height);
    return scale > 1 ? Math.floor(scale) : scale;
  }
  function draw() {
    if (!near().clientWidth) return; // not shown
    if (at.fits) Object.assign(at, {zoom: fit(), x: at.width / 2, y: at.height / 2});
    const view = near();
    const half = [view.clientWidth / at.zoom / 2, view.clientHeight / at.zoom / 2];
    at.x = half[0] * 2 >= at.width ? at.width / 2 : clamp(at.x, half[0], at.width - half[0]);
    at.y = half[1] * 2 >= at.height ? at.height / 2 : clamp(at.y, half[1], at.height - half[1]);
    for (const each of views) {
      const left = each.clientWidth / 2 - at.x * at.zoom, top = each.clientHeight / 2 - at.y * at.zoom;
      layer(each).style.transform = `translate(${left}px, ${top}px) scale(${at.zoom})`;
    }
    drawn(at);
  }
  // Keeps what is under a point of a view where it is.
  function zoomTo(wanted, view = near(), [left, top] = [view.clientWidth / 2, view.clientHeight / 2]) {
    const next = clamp(wanted, Math.min(fit(), 1), 8);
    const from = [left - view.clientWidth / 2, top - view.clientHeight / 2];
    at.x += from[0] / at.zoom - from[0] / next;
    at.y += from[1] / at.zoom - from[1] / next;
    [at.zoom, at.fits] = [next, next <= fit() && next < 1];
    draw();
  }
  function showAll() { at.fits = true; draw(); }
  function showSize(width, height) { Object.assign(at, {width, height}); showAll(); }
  function goTo(x, y, zoom) { Object.assign(at, {x, y, zoom, fits: false}); draw(); }
  function pan(right, down) {
    at.x += right / at.zoom;
    at.y += down / at.zoom;
    draw();
  }
  const place = (event, view) => {
    const box = view.getBoundingClientRect();
    return [event.clientX - box.left - view.clientLeft, event.clientY - box.top - view.clientTop];
  };

  const fingers = new Map();
  const spread = () => {
    const [first, second] = [...fingers.values()];
    return Math.hypot(first[0] - second[0], first[1] - second[1]);
  };
  surface.addEventListener('pointerdown', (event) => {
    const view = event.target.closest('.view');
    if (event.button || !view) return;
    view.setPointerCapture(event.pointerId);
    fingers.set(event.pointerId, [event.clientX, event.clientY]);
    surface.classList.add('moving');
    if (fingers.size === 1) drag(event);
  });
  surface.addEventListener('pointermove', (event) => {
    const before = fingers.get(event.pointerId), now = [event.clientX, event.clientY];
    if (!before || (fingers.size === 1 && drag(event))) return;
    const wide = fingers.size === 2 && spread();
    fingers.set(event.pointerId, now);
    at.x -= (now[0] - before[0]) / at.zoom / fingers.size;
    at.y -= (now[1] - before[1]) / at.zoom / fingers.size;
    if (wide) {
      const [first, second] = [...fingers.values()], view = event.target.closest('.view');
      const middle = {clientX: (first[0] + second[0]) / 2, clientY: (first[1] + second[1]) / 2};
      zoomTo(at.zoom * spread() / wide, view, place(middle, view));
    } else {
      draw();
    }
  });
  for (const kind of ['pointerup', 'pointercancel']) {
    surface.addEventListener(kind, (event) => {
      fingers.delete(event.pointerId);
      surface.classList.toggle('moving', fingers.size > 0);
    });
  }
  surface.addEventListener('wheel', (event) => {
    const view = event.target.closest('.view');
    // Where all is seen already, the wheel goes on down the page.
    if (!view || (at.fits && at.zoom < 1 && event.deltaY > 0)) return;
    event.preventDefault();
    zoomTo(at.zoom * 2 ** (-event.deltaY / 400), view, place(event, view));
  }, {passive: false});
  surface.addEventListener('dblclick', (event) => {
    const view = event.target.closest('.view');
    if (!view) return;
    if (at.fits && at.zoom < 1) zoomTo(1, view, place(event, view));
    else if (at.fits) zoomTo(at.zoom * 2, view, place(event, view));
    else showAll();
  });
  addEventListener('resize', draw);
  return {at, draw, zoomTo, showAll, showSize, goTo, pan, place};
}
