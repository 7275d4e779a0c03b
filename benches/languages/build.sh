#!/bin/sh
# Makes what `measure languages` compares, in target/peers: the template projects of Python and JavaScript as they are, and the
# same hello written against wasi:http 0.2, which other hosts serve too. Installs the tools there first (PyPI and npm).
set -eu
cd "$(dirname "$0")/../.."
peers=$PWD/target/peers
sources=$PWD/benches/languages
mkdir -p "$peers/wit"

[ -x "$peers/venv/bin/componentize-py" ] || {
    python3 -m venv "$peers/venv"
    "$peers/venv/bin/pip" install --quiet -r templates/python/requirements.txt
}
# Added to what else is there: `measure figures` may have its own.
tools=$(sed -n 's/^ *"\(@[^"]*\)": "\(.*\)".*/\1@\2/p' templates/javascript/package.json)
[ -x "$peers/node_modules/.bin/componentize-js" ] || npm install --prefix "$peers" $tools
PATH=$peers/venv/bin:$peers/node_modules/.bin:$PATH

# The text of wasi:http comes with wasmtime's crate; the version is the one that componentize-js knows.
cargo fetch --quiet
wasi=$(ls -d "${CARGO_HOME:-$HOME/.cargo}"/registry/src/*/wasmtime-wasi-http-48.*/wit/deps | tail -n 1)
rm -rf "$peers/wit/deps"
cp -r "$wasi" "$peers/wit/deps"
sed -i 's/0\.2\.[0-9]*/0.2.10/g' "$peers"/wit/deps/*.wit
cp "$sources/world.wit" "$peers/wit/world.wit"

for language in python javascript; do
    project=$peers/$language
    rm -rf "$project"
    cp -r "templates/$language" "$project"
    mkdir -p "$project/wit"
    cp wit/function.wit "$project/wit/"
done
ln -s "$peers/node_modules" "$peers/javascript/node_modules"
for language in python javascript; do
    (cd "$peers/$language" && sh build.sh && cp out/component.wasm "$peers/$language.wasm")
done
cp "$sources/wasi_http.py" "$peers"
componentize-py -d "$peers/wit" -w hello componentize -p "$peers" wasi_http -o "$peers/python-wasi-http.wasm"
componentize-js -w "$peers/wit" -n hello -o "$peers/javascript-wasi-http.wasm" "$sources/wasi_http.js"
componentize-js -w "$peers/wit" -n hello -o "$peers/javascript-fetch.wasm" "$sources/fetch.js"
