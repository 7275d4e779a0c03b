// The same hello as a listener for `fetch` events, which componentize-js serves over wasi:http by itself.
addEventListener("fetch", (event) => {
  const name = new URL(event.request.url).searchParams.get("name") ?? "world";
  const headers = { "content-type": "text/plain; charset=utf-8" };
  event.respondWith(new Response(`Hello, ${name}!`, { headers }));
});
