// Makes the pages quicker to use; each of them works without it.
import { openRows } from "./rows.js";
import { forms } from "./forms.js";
import { menus } from "./menus.js";
import { charts } from "./charts.js";
import { summaries } from "./summaries.js";
import { copies } from "./copies.js";
import { live } from "./live.js";
import { trees } from "./trees.js";
import { keys } from "./keys.js";
import { search } from "./search.js";
import { order } from "./order.js";
import { exports } from "./exports.js";

menus();
forms();
openRows();
charts();
summaries();
copies();
trees();
live();
keys();
search();
order();
exports();
