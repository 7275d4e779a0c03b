// Written for any host of wasi:http 0.2, against its interfaces: a greeting, or what was posted, as it came. Every handle is
// disposed of, so that nothing is left when a request is over.
import { Fields, IncomingBody, OutgoingBody, OutgoingResponse, ResponseOutparam } from "wasi:http/types@0.2.10";

const encoder = new TextEncoder();
const text = encoder.encode("text/plain; charset=utf-8");

// The most that wasi:io lets be written at once.
const atOnce = 4096n;

function* posted(request) {
  const body = request.consume();
  const stream = body.stream();
  try {
    for (;;) yield stream.blockingRead(atOnce);
  } catch (error) {
    if (error.payload?.tag !== "closed") throw error;
  }
  stream[Symbol.dispose]();
  IncomingBody.finish(body)[Symbol.dispose]();
}

function* greeting(request) {
  const query = new URLSearchParams(request.pathWithQuery().split("?")[1]);
  yield encoder.encode(`Hello, ${query.get("name") ?? "world"}!`);
}

function contentTypes(request) {
  const headers = request.headers();
  const values = headers.get("content-type");
  headers[Symbol.dispose]();
  return values;
}

export const incomingHandler = {
  handle(request, outparam) {
    const isPosted = request.method().tag === "post";
    const types = isPosted ? contentTypes(request) : [text];
    const response = new OutgoingResponse(Fields.fromList(types.map((type) => ["content-type", type])));
    const body = response.body();
    ResponseOutparam.set(outparam, { tag: "ok", val: response });
    const stream = body.write();
    for (const piece of isPosted ? posted(request) : greeting(request)) stream.blockingWriteAndFlush(piece);
    stream[Symbol.dispose]();
    OutgoingBody.finish(body, undefined);
    request[Symbol.dispose]();
  },
};
