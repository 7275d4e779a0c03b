// Prints the median of milliseconds that libvips takes, on one thread: node sharp.mjs MODULE IN.jpg ROUNDS
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const [module, file, rounds] = process.argv.slice(2);
const sharp = createRequire(import.meta.url)(module);
sharp.concurrency(1);
sharp.cache(false);
const picture = readFileSync(file);
const times = [];
// One more, which is not counted: the first picture finds nothing compiled.
for (let round = 0; round <= Number(rounds); round++) {
  const began = performance.now();
  await sharp(picture).resize({ width: 320 }).jpeg({ quality: 80 }).toBuffer();
  if (round > 0) times.push(performance.now() - began);
}
times.sort((a, b) => a - b);
console.log(times[times.length >> 1].toFixed(3));
