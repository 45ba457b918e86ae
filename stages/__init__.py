"""One script a stage; what must be set before any library is loaded is set here."""

import gc
import os

# Without these MKL may choose another number of threads under load; its order of sums, akd sets.
os.environ.setdefault("MKL_DYNAMIC", "FALSE")
os.environ.setdefault("OMP_DYNAMIC", "FALSE")

# Nothing of the libraries is garbage: a stage begins a second earlier where none looks for some
# while they are loaded. `akd.console.run` begins to.
gc.disable()
