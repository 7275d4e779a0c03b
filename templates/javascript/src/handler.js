// A function: one request in, one response out (wit/function.wit).
import { prepared } from "./prepared.js";

const encoder = new TextEncoder();
const headers = [["content-type", encoder.encode("text/plain; charset=utf-8")]];

function greeting(path) {
  const query = new URLSearchParams(path.split("?")[1]);
  return `Hello, ${query.get("name") ?? "world"}!`;
}

function handle(request) {
  return { status: 200, headers, body: encoder.encode(greeting(request.path)) };
}

export const handler = prepared({ handle });
