// Written as a listener for `fetch` events, which componentize-js serves over wasi:http 0.2 by itself: a greeting, or what was
// posted, as it came.
async function answer(request) {
  const type = request.headers.get("content-type");
  if (request.method === "POST") return new Response(await request.arrayBuffer(), { headers: type ? { "content-type": type } : {} });
  const name = new URL(request.url).searchParams.get("name") ?? "world";
  return new Response(`Hello, ${name}!`, { headers: { "content-type": "text/plain; charset=utf-8" } });
}

addEventListener("fetch", (event) => event.respondWith(answer(event.request)));
