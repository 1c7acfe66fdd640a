// Makes the pages quicker to use; each of them works without it.
import { openRows } from "./rows.js";
import { forms } from "./forms.js";
import { menus } from "./menus.js";
import { charts } from "./charts.js";

menus();
forms();
openRows();
charts();
