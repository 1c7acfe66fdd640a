// Makes the pages quicker to use; each of them works without it.
import { openRows } from "./rows.js";
import { forms } from "./forms.js";
import { menus } from "./menus.js";
import { charts } from "./charts.js";
import { summaries } from "./summaries.js";
import { copies } from "./copies.js";
import { keys } from "./keys.js";

menus();
forms();
openRows();
charts();
summaries();
copies();
keys();
