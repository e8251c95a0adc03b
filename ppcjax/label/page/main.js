// Starts the page.

import { start as canvas } from "./canvas.js";
import { start as classes } from "./classes.js";
import { start as dialogs } from "./dialogs.js";
import { start as drawing } from "./draw.js";
import { start as keys } from "./keys.js";
import { start as list } from "./list.js";
import { start as panel } from "./panel.js";
import { poll } from "./server.js";

for (const start of [canvas, drawing, list, classes, panel, dialogs, keys]) start();
poll();
