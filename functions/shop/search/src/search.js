// Finding products by words, some of them mistyped.

// The longest text, and the most words of it, that are looked at.
const LETTERS_MAX = 200;
const WORDS_MAX = 8;

const IDLE = new Set(["a", "an", "and", "for", "in", "of", "or", "that", "the", "to", "with"]);

function words(text) {
  // The engine of componentize-js has no tables of Unicode: there is no \p{L}.
  const found = text.slice(0, LETTERS_MAX).toLowerCase().match(/[a-z0-9\u00df-\u024f]+/g) ?? [];
  return found.filter((word) => !IDLE.has(word));
}

/** What is searched: each product's words, and what one is worth. */
export function index(catalogue) {
  return catalogue.map(({ id, name, tags, about }) => {
    const worth = new Map();
    const parts = [[about, 1], [tags.join(" "), 2], [name, 3]];
    for (const [text, points] of parts) for (const word of words(text)) worth.set(word, points);
    return { id, worth: [...worth] };
  });
}

/** The products that have all words of a query, or something close to them. */
export function search(products, query) {
  const wanted = words(query).slice(0, WORDS_MAX);
  if (wanted.length === 0) return [];
  const found = [];
  for (const { id, worth } of products) {
    const scores = wanted.map((word) => Math.max(...worth.map(([other, points]) => points * likeness(word, other))));
    if (scores.every((score) => score > 0)) {
      const mean = scores.reduce((sum, score) => sum + score, 0) / scores.length;
      found.push({ id, score: Math.round((mean / 3) * 100) / 100 });
    }
  }
  return found.sort((a, b) => b.score - a.score);
}

/** 1 for the same word, less for one that begins so or has a letter or two wrong, else 0. */
function likeness(word, other) {
  if (word === other) return 1;
  if (word.length >= 2 && other.startsWith(word)) return 0.8;
  const slips = word.length >= 8 ? 2 : word.length >= 4 ? 1 : 0;
  if (slips === 0 || Math.abs(word.length - other.length) > slips) return 0;
  const made = slipsBetween(word, other);
  return made <= slips ? 0.7 - 0.2 * made : 0;
}

// Letters put in, left out, changed, or swapped with the next one.
function slipsBetween(a, b) {
  let [before, row] = [[], Array.from({ length: b.length + 1 }, (_, at) => at)];
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1] ? 0 : 1;
      next[j] = Math.min(next[j - 1] + 1, row[j] + 1, row[j - 1] + same);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) next[j] = Math.min(next[j], before[j - 2] + 1);
    }
    [before, row] = [row, next];
  }
  return row[b.length];
}
