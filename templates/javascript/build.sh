#!/bin/sh
# Makes one component of src/handler.js and what it imports. `gust build` and `gust deploy` run this (gust.toml).
set -eu
tool=node_modules/.bin/componentize-js
if [ ! -x "$tool" ]; then
    echo "componentize-js is not installed. Install it (with Node 20 or later), then build again:" >&2
    echo "  npm install" >&2
    exit 1
fi
mkdir -p out
exec "$tool" --wit wit --world-name function --out out/component.wasm src/handler.js
