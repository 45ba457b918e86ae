"""Near duplicates by MinHash over word 3-shingles (Broder 1997) and banded LSH."""

from rensa import RMinHash, RMinHashLSH

from akd.corpus.signatures import rows_per_band, shingles


class NearDuplicateIndex:
    """Finds among the texts added so far the one most like a new text.

    Similarity is the Jaccard index of the shingle sets, estimated from `permutations` hashes
    (standard error about 1 / sqrt(permutations)).
    """

    def __init__(self, permutations: int, shingle: int, similarity: float, seed: int) -> None:
        self._permutations = permutations
        self._shingle = shingle
        self._similarity = similarity
        self._seed = seed
        bands = permutations // rows_per_band(permutations, similarity)
        self._lsh = RMinHashLSH(similarity, permutations, bands)  # each pair is verified afterwards
        self._hashes: list[RMinHash] = []

    def add(self, text: str) -> int:
        """Add a text and return its number, counted from 0."""
        return self._insert(self._hash(text))

    def find(self, text: str) -> int | None:
        """Return the number of the most similar text, or None if none is similar enough."""
        return self._nearest(self._hash(text))

    def _nearest(self, minhash: RMinHash) -> int | None:
        candidates = [(minhash.jaccard(self._hashes[i]), -i) for i in self._lsh.query(minhash)]
        best = max(candidates, default=(0.0, 0))
        return -best[1] if best[0] >= self._similarity else None

    def _insert(self, minhash: RMinHash) -> int:
        self._lsh.insert(len(self._hashes), minhash)
        self._hashes.append(minhash)
        return len(self._hashes) - 1

    def _hash(self, text: str) -> RMinHash:
        minhash = RMinHash(self._permutations, self._seed)
        minhash.update(shingles(text, self._shingle))
        return minhash
