#!/bin/sh
# Makes one module of handler.c and the bindings. `gust build` and `gust deploy` run this (gust.toml).
set -eu
zig=.venv/bin/python-zig
if [ ! -x "$zig" ] && ! zig=$(command -v zig); then
    echo "zig, whose C compiler is used, is not installed. Install it, then build again:" >&2
    echo "  python3 -m venv .venv && .venv/bin/pip install -r requirements.txt" >&2
    exit 1
fi
mkdir -p out
# The host makes a component of it: what the module is written against stands in bindings/function_component_type.o.
# 1 MiB of memory from the start, 256 KiB of it for the stack: an instance whose memory grows during a request cannot be put
# back, and all of it is looked over for what a request wrote. Raise both for a function that works on much.
exec "$zig" cc --target=wasm32-wasi -mexec-model=reactor -msimd128 -O2 -s -Wall -Wextra \
    -Wl,--initial-memory=1048576 -Wl,-z,stack-size=262144 \
    -o out/handler.wasm handler.c bindings/function.c bindings/function_component_type.o
