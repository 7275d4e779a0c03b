// The same hello against wasi:http 0.2. Every handle is disposed of, so that nothing is left when a request is over.
import { Fields, OutgoingBody, OutgoingResponse, ResponseOutparam } from "wasi:http/types@0.2.10";

const encoder = new TextEncoder();
const type = encoder.encode("text/plain; charset=utf-8");

export const incomingHandler = {
  handle(request, outparam) {
    const query = new URLSearchParams(request.pathWithQuery().split("?")[1]);
    request[Symbol.dispose]();
    const response = new OutgoingResponse(Fields.fromList([["content-type", type]]));
    const body = response.body();
    ResponseOutparam.set(outparam, { tag: "ok", val: response });
    const stream = body.write();
    stream.blockingWriteAndFlush(encoder.encode(`Hello, ${query.get("name") ?? "world"}!`));
    stream[Symbol.dispose]();
    OutgoingBody.finish(body, undefined);
  },
};
