// Makes requests faster; a function works without it too: `export const handler = { handle };`.
//
// A component begins as its JavaScript engine stood when it was built. The engine makes classes (Promise, DataView, Array)
// when they are first used, so what was not used at build time is made in every request, for each begins with a pristine
// instance. The code around the handler, which componentize-js generates, has a global object of its own, whose classes
// nothing uses before the first request. It asks for the handler once, while the component is built, and who asks can be
// seen by a function that is not in strict mode. Through that, all the classes of its global object are used here.

// Runs among the generated code's own classes: it must not use anything from here.
function use() {
  for (const name of Object.getOwnPropertyNames(globalThis)) void globalThis[name];
  (async () => {
    for (const [first] of [[1]]) await first;
  })();
}

// Where componentize-js should come to do otherwise, nobody is seen to ask, and nothing is done.
const asked = new Function(
  "use",
  "handle",
  `return function () {
     const glue = arguments.callee.caller;
     if (glue) glue.constructor("return " + use)()();
     return handle;
   };`,
);

/** The same handler, with the generated code's classes ready. */
export function prepared({ handle }) {
  return Object.defineProperty({}, "handle", { get: asked(use, handle) });
}
