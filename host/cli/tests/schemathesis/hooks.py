"""What schemathesis cannot make up: a component, a manifest, keys of an issuer."""

import os

import schemathesis
from hypothesis import strategies as st

with open(os.environ["GUST_COMPONENT"], "rb") as file:
    COMPONENT = file.read()

MANIFESTS = ["", 'access = "key"\n', "[limits]\nmemory_mib = 64\nwall_ms = 1000\n", '[env]\nGREETING = "hi"\n']

# RFC 8037, appendix A.2.
JWKS = {"keys": [{"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}

schemathesis.openapi.media_type("application/wasm", st.just(COMPONENT))
schemathesis.openapi.media_type("application/x-tar", st.binary(max_size=2048))
schemathesis.openapi.format("binary", st.just(COMPONENT))
schemathesis.openapi.format("toml", st.sampled_from(MANIFESTS))


@schemathesis.hook
def filter_query(context, query):
    """Following a log never ends."""
    return str((query or {}).get("follow")).lower() != "true"
