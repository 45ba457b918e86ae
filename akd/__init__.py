"""akd distils domain-specific language models; every room below has a docstring of its own."""

import os

# MKL reads it at its first product: a row's bits must not depend on how many rows stand beside it.
os.environ.setdefault("MKL_CBWR", "AUTO,STRICT")
