"""One script a stage; what makes a run repeatable is set here, before any library is loaded."""

import os

# Without these MKL may choose another number of threads under load. What order it sums in, akd says.
os.environ.setdefault("MKL_DYNAMIC", "FALSE")
os.environ.setdefault("OMP_DYNAMIC", "FALSE")
