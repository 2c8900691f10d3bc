// Which items are shown. Each filter is one test of a group; an item is shown if it fails none. An item that fails
// one group alone counts in that group's numbers: they say how many items a choice would show.

const fails = new Uint8Array(N); // the number of groups whose test the item fails, at most 255
const failing = new Int16Array(N); // the place of the last one among `groups`
let groups = []; // the names of the groups of the last filtering
let shownItems = []; // in their order

let searched = { query: null, parts: -1, mask: null }; // the last search, kept while other filters change

/** Return which items have the words of the search. */
function searchMask(query) {
  if (searched.query !== query || searched.parts !== searchedParts) {
    const mask = new Uint8Array(N).fill(1);
    for (const word of searchWords(query)) {
      const found = itemsWithWord(word);
      for (let i = 0; i < N; i += 1) mask[i] &= found[i];
    }
    searched = { query, parts: searchedParts, mask };
  }
  return searched.mask;
}

/** Return whether any flag of any model is on an item. */
const isFlagged = (i) => data.flags.some((flag) => flag.mask[i]);

/** Return whether a rule counts any model's answer to an item as critical. */
const isCritical = (i) => data.critical.some((rule) => rule.mask[i]);

/** Return the test of a mark for items. */
function markTest(mark, column) {
  if (mark === "critical") return isCritical;
  if (mark === "noted") return (i) => notes.has(data.anchors[i]);
  return column ? (i) => column[mark][i] : () => false;
}

/** Return the test of a sign for items. */
function signTest(sign, column) {
  if (!column) return () => false;
  if (sign === "unscored") return (i) => isUnscored(column, i);
  const wanted = SIGNS.indexOf(sign) - 1;
  return (i) => signOf(column, i) === wanted;
}

/** Return the test of the brushed part of the plot; an end that is not set is open. */
function brushTest(brush, column) {
  const { baseline_from: left = NaN, baseline_to: right = NaN, candidate_from: low = NaN, candidate_to: high = NaN } = brush;
  const boundsBaseline = !Number.isNaN(left) || !Number.isNaN(right);
  return (i) => {
    const x = column.baselineScores[i];
    const y = column.candidateScores[i];
    if (boundsBaseline && (Number.isNaN(x) || x < left || x > right)) return false;
    return !(Number.isNaN(y) || y < low || y > high);
  };
}

/** Return the tests that the state asks for, by group. */
function testsOf({ column, query, task, sign, least, flag, marks, slices, brush }) {
  const tests = new Map();
  if (query.trim()) {
    const mask = searchMask(query);
    tests.set("search", (i) => mask[i]);
  }
  if (task !== "") tests.set("task", (i) => data.task[i] === task);
  if (sign) tests.set("sign", signTest(sign, column));
  if (least && column) tests.set("least", (i) => Math.abs(column.differences[i]) >= least);
  if (flag !== "") tests.set("flag", flag === "any" ? isFlagged : (i) => data.flags[flag].mask[i]);
  for (const mark of marks) tests.set(mark, markTest(mark, column));
  for (const [place, values] of slices) {
    const { of } = data.slices[place];
    if (values.size) tests.set(`slice ${place}`, (i) => values.has(of[i]));
  }
  if (brush && column) tests.set("brush", brushTest(brush, column));
  return tests;
}

/** Filter all items by the state, and keep those that are shown in the order of the state. */
function filterItems() {
  const tests = testsOf(state);
  groups = [...tests.keys()];
  fails.fill(0);
  failing.fill(-1);
  [...tests.values()].forEach((test, group) => {
    for (let i = 0; i < N; i += 1) {
      if (!test(i)) {
        fails[i] = Math.min(255, fails[i] + 1);
        failing[i] = group;
      }
    }
  });
  shownItems = sortedItems().filter((i) => fails[i] === 0);
}

/** Return a function that says whether an item passes every group but this one. */
function passesWithout(group) {
  const place = groups.indexOf(group);
  return (i) => fails[i] === 0 || (fails[i] === 1 && failing[i] === place);
}

/** Count the items that a test would show, the group's own choice aside. */
function countWith(group, test) {
  const passes = passesWithout(group);
  let n = 0;
  for (let i = 0; i < N; i += 1) if (passes(i) && test(i)) n += 1;
  return n;
}

// --- order -----------------------------------------------------------------------------------

const orders = new Map(); // all items in order, by what they are sorted by
let noteVersion = 0; // counts changes of notes, by which marks are sorted too

/** Return the number of marks that an item has in the list. */
function countMarks(i, column) {
  const found = [isCritical(i), isFlagged(i), notes.has(data.anchors[i])];
  if (column) found.push(column.order_dependent[i], column.judges_disagree[i], column.against_people[i]);
  return found.filter(Boolean).length;
}

/** Return the values by which items are sorted; null where that is the order of the run. */
function sortValues({ sort, column }) {
  if (sort === "name") return data.ids;
  if (sort === "marks") return Float64Array.from({ length: N }, (_, i) => countMarks(i, column));
  if (!column) return null;
  return { baseline: column.baselineScores, candidate: column.candidateScores, difference: column.differences }[sort] ?? null;
}

/** Return all items in the order of the state; those without a value are last in both directions. */
function sortedItems() {
  const { sort, descending, column } = state;
  const key = [sort, descending, column?.name, sort === "marks" ? noteVersion : ""].join("\n");
  if (!orders.has(key)) {
    const values = sortValues(state);
    const order = Array.from({ length: N }, (_, i) => i);
    if (values) {
      const direction = descending ? -1 : 1;
      const isMissing = (i) => typeof values[i] === "number" && Number.isNaN(values[i]);
      const compared = order.filter((i) => !isMissing(i));
      compared.sort((a, b) => (values[a] < values[b] ? -direction : values[a] > values[b] ? direction : a - b));
      orders.set(key, [...compared, ...order.filter(isMissing)]);
    } else {
      orders.set(key, descending ? order.reverse() : order);
    }
  }
  return orders.get(key);
}
