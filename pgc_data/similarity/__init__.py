"""Near-duplicates: pictures that differ by re-encoding, resizing, brightness, noise or a shift of a few pixels.

`best_pairs` and `join_alike` join groups before a split; `near_rows` tells of each row whether another side has its
near-duplicate. Both find candidates by 64-bit hashes (`BITS` bits apart at most) and believe pixels
(`same_picture`). Hashes alone will not do: of 4.3 million pairs of real crops of different people (IPN Hand, 4
people) none is within 8 bits and 5 are within 10, but of 0.95 million pairs of drawn hands, where the same gesture is
drawn alike for many people, 99 are within 8.
"""

from pgc_data.similarity.bands import BITS
from pgc_data.similarity.joining import Joined, join_alike
from pgc_data.similarity.neighbours import Neighbours, near_rows
from pgc_data.similarity.pairs import Pairs, best_pairs, hash_numbers, near_pairs
from pgc_data.similarity.thumbnails import (
    THUMBNAIL_BYTES,
    image_thumbnail,
    likeness,
    pixel_check,
    plain,
    same_picture,
    thumbnail,
)

__all__ = [
    "BITS",
    "THUMBNAIL_BYTES",
    "Joined",
    "Neighbours",
    "Pairs",
    "best_pairs",
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
