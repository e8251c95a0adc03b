// Which boxes the eraser takes away: those whose line it passes, as the server does.

import { ERASER } from "./app.js";

// How far a point lies from the line around a box, squared.
function apart([x, y], [x0, y0, x1, y1]) {
  const inside = Math.min(x - x0, x1 - x, y - y0, y1 - y);
  if (inside > 0) return inside * inside;
  const dx = Math.max(x0 - x, x - x1, 0);
  const dy = Math.max(y0 - y, y - y1, 0);
  return dx * dx + dy * dy;
}

// Whether a piece of a stroke comes so near to a box's line. Nearest to it is an end, where the
// piece crosses the line of a side, or the foot of a corner.
function near([ax, ay], [bx, by], box, reach) {
  const [x0, y0, x1, y1] = box;
  const [dx, dy] = [bx - ax, by - ay];
  const length = dx * dx + dy * dy || 1;
  const at = [0, 1];
  for (const x of [x0, x1]) {
    if (dx) at.push((x - ax) / dx);
    for (const y of [y0, y1]) at.push(((x - ax) * dx + (y - ay) * dy) / length);
  }
  if (dy) at.push((y0 - ay) / dy, (y1 - ay) / dy);
  return at.some((t) => {
    const share = Math.min(Math.max(t, 0), 1);
    return apart([ax + share * dx, ay + share * dy], box) <= reach * reach;
  });
}

const passes = ({ points, width }, box) =>
  points.some((point, i) => near(points[i - 1] ?? point, point, box, width / 2));

// Marks without the boxes that later strokes of the eraser have taken.
export function left(items) {
  let found = [];
  for (const item of items) {
    if (item.class === ERASER) {
      found = found.filter((one) => one.kind !== "box" || !passes(item, one.box));
    }
    found.push(item);
  }
  return found;
}
