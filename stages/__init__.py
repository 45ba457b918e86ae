"""One script a stage; what makes a run repeatable is set here, before any library is loaded."""

import os

# Without these MKL may choose another number of threads under load; its order of sums, akd sets.
os.environ.setdefault("MKL_DYNAMIC", "FALSE")
os.environ.setdefault("OMP_DYNAMIC", "FALSE")
