"""Near-duplicates: pictures that differ by re-encoding, resizing, brightness, noise or a shift of a few pixels.

Before a split, groups that share a picture become one: `best_pairs` finds candidates by 64-bit hashes, `confirmed`
looks at their pixels, `join_alike` joins. After it, `near_rows` tells of each row whether another side has its
near-duplicate. Hashes alone will not do: of 4.3 million pairs of real crops of different people (IPN Hand, 4 people)
none is within 8 bits, but 17 of 31,000 pairs of photographs of digits are, and 99 of 0.94 million pairs of drawn
hands of different people; one of each is confirmed.

    >>> pairs = best_pairs(hash_numbers(hands["phash"]), groups)  # doctest: +SKIP
    >>> shown = np.stack([thumbnail(crop) for crop in crops(pairs.rows())])  # doctest: +SKIP
    >>> joined = join_alike(groups, confirmed(pairs, shown), most_rows=len(groups) // 10)  # doctest: +SKIP
"""

from pgc_data.similarity.bands import BITS
from pgc_data.similarity.joining import Joined, join_alike
from pgc_data.similarity.neighbours import Neighbours, near_rows
from pgc_data.similarity.pairs import Pairs, best_pairs, concatenated, hash_numbers, near_pairs
from pgc_data.similarity.thumbnails import (
    LIKENESS,
    THUMBNAIL_BYTES,
    confirmed,
    image_thumbnail,
    likeness,
    pixel_check,
    plain,
    same_picture,
    thumbnail,
)

__all__ = [
    "BITS",
    "LIKENESS",
    "THUMBNAIL_BYTES",
    "Joined",
    "Neighbours",
    "Pairs",
    "best_pairs",
    "concatenated",
    "confirmed",
    "hash_numbers",
    "image_thumbnail",
    "join_alike",
    "likeness",
    "near_pairs",
    "near_rows",
    "pixel_check",
    "plain",
    "same_picture",
    "thumbnail",
]
