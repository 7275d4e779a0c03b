// The shop's search: GET /?q=text answers {"found": [{"id", "score"}]}, the best first.
//
// It asks nobody. The products are those of the time when it was built, and the index is made then too: a component begins as its
// JavaScript engine stood when it was built, so a request only looks words up.
import { catalogue } from "./catalogue.js";
import { prepared } from "./prepared.js";
import { index, search } from "./search.js";

const encoder = new TextEncoder();
const headers = [["content-type", encoder.encode("application/json")]];
const products = index(catalogue);

function handle(request) {
  const query = new URLSearchParams(request.path.split("?")[1]).get("q") ?? "";
  return { status: 200, headers, body: encoder.encode(JSON.stringify({ found: search(products, query) })) };
}

export const handler = prepared({ handle });
