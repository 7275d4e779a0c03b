#!/bin/sh
# Makes one component of app.py and what it imports. `gust build` and `gust deploy` run this (gust.toml).
set -eu
tool=.venv/bin/componentize-py
if [ ! -x "$tool" ] && ! tool=$(command -v componentize-py); then
    echo "componentize-py is not installed. Install it, then build again:" >&2
    echo "  python3 -m venv .venv && .venv/bin/pip install -r requirements.txt" >&2
    exit 1
fi
mkdir -p out
exec "$tool" --wit-path wit --world function componentize app --output out/component.wasm
