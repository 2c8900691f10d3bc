// Words that differ between two answers, by their longest common subsequence.

const MOST_CELLS = 4_000_000; // of the table of two texts: about 2,000 words each

/** Return the words of a text and what stands between them; together they are the text. */
const splitWords = (text) => text.match(/[\p{L}\p{N}\p{M}]+|\s+|[^\p{L}\p{N}\p{M}\s]/gu) ?? [];

/** Return how many leading pieces two lists share. */
function countShared(first, second) {
  let n = 0;
  while (n < first.length && n < second.length && first[n] === second[n]) n += 1;
  return n;
}

/**
 * Compare two texts word by word.
 *
 * Return for each text a list of [piece, differs]; null where they are too long to compare.
 */
function compareWords(first, second) {
  const [a, b] = [splitWords(first), splitWords(second)];
  const head = countShared(a, b);
  const tail = countShared(a.slice(head).reverse(), b.slice(head).reverse());
  const [middleA, middleB] = [a.slice(head, a.length - tail), b.slice(head, b.length - tail)];
  if ((middleA.length + 1) * (middleB.length + 1) > MOST_CELLS) return null;
  const [sharedA, sharedB] = commonPieces(middleA, middleB);
  const join = (pieces, shared) => pieces.map((piece, place) => {
    const inMiddle = place >= head && place < pieces.length - tail;
    return [piece, inMiddle && !shared[place - head]];
  });
  return [mergePieces(join(a, sharedA)), mergePieces(join(b, sharedB))];
}

/** Return which pieces of two lists are in their longest common subsequence, as one byte for each. */
function commonPieces(a, b) {
  const width = b.length + 1;
  const longest = new Uint16Array((a.length + 1) * width); // of a[i:] and b[j:] at i * width + j
  for (let i = a.length - 1; i >= 0; i -= 1) {
    for (let j = b.length - 1; j >= 0; j -= 1) {
      const place = i * width + j;
      longest[place] = a[i] === b[j] ? longest[place + width + 1] + 1 : Math.max(longest[place + width], longest[place + 1]);
    }
  }
  const [sharedA, sharedB] = [new Uint8Array(a.length), new Uint8Array(b.length)];
  for (let i = 0, j = 0; i < a.length && j < b.length;) {
    if (a[i] === b[j]) {
      sharedA[i] = 1;
      sharedB[j] = 1;
      i += 1;
      j += 1;
    } else if (longest[(i + 1) * width + j] >= longest[i * width + j + 1]) i += 1;
    else j += 1;
  }
  return [sharedA, sharedB];
}

/** Join neighbouring pieces that both differ or are both shared; a space between two that differ differs too. */
function mergePieces(pieces) {
  const merged = [];
  pieces.forEach(([piece, differs], place) => {
    const between = /^\s+$/.test(piece) && pieces[place - 1]?.[1] && pieces[place + 1]?.[1];
    const last = merged.at(-1);
    if (last && last[1] === Boolean(differs || between)) last[0] += piece;
    else merged.push([piece, Boolean(differs || between)]);
  });
  return merged;
}

/** Append a text in which the words of a search are marked. */
function appendFound(parent, text, words) {
  const written = visible(text);
  if (!words.length) {
    parent.append(written);
    return parent;
  }
  const pattern = new RegExp(words.map((word) => word.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")).join("|"), "giu");
  let end = 0;
  for (const match of written.matchAll(pattern)) {
    parent.append(written.slice(end, match.index), make("mark", {}, match[0]));
    end = match.index + match[0].length;
  }
  parent.append(written.slice(end));
  return parent;
}
