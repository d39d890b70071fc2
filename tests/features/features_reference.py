"""feature-schema-v1 once more: one frame at a time, in plain Python, written from the text of the rules.

Shares no code and no data file with `pgc_data.features`; slow on purpose, and the yardstick of the benchmark.
"""

import math
from bisect import bisect_left

FINGERS = [(1, 2, 3, 4), (5, 6, 7, 8), (9, 10, 11, 12), (13, 14, 15, 16), (17, 18, 19, 20)]


def minus(a, b):
    return [p - q for p, q in zip(a, b, strict=True)]


def norm(v):
    return math.sqrt(sum(c * c for c in v))


def is_valid(hand, width, height):
    if any(not math.isfinite(c) or abs(c) > 100.0 for joint in hand for c in joint):
        return False
    d = minus(hand[9], hand[0])
    return norm([d[0], d[1] * height / width, d[2]]) >= 1e-4


def on_grid(hands, times, tracks, width, height):
    """[(time, hand or None, track, nearest source row)] on the 30 Hz grid."""
    if not times:
        return []
    out = []
    k = 0
    while times[0] + k / 30 <= times[-1] + 0.001:
        t = times[0] + k / 30
        near = _nearest(t, times)
        if abs(times[near] - t) <= 0.001:
            out.append((t, hands[near], tracks[near], near))
        else:
            out.append((t, *_between(t, hands, times, tracks, width, height), near))
        k += 1
    return out


def _nearest(t, times):
    after = min(bisect_left(times, t), len(times) - 1)
    before = max(after - 1, 0)
    nearest = before if t - times[before] <= abs(times[after] - t) + 1e-6 else after
    return bisect_left(times, times[nearest])


def _between(t, hands, times, tracks, width, height):
    close = range(bisect_left(times, t - 0.25), bisect_left(times, t + 0.25))
    ok = [i for i in close if is_valid(hands[i], width, height)]
    before = [i for i in ok if times[i] < t]
    after = [i for i in ok if times[i] >= t]
    if not before or not after:
        return None, -1
    i, j = before[-1], after[0]
    if times[j] - times[i] > 0.201 or tracks[i] != tracks[j]:
        return None, -1
    w = (t - times[i]) / (times[j] - times[i])
    hand = [
        [(1 - w) * a + w * b for a, b in zip(p, q, strict=True)]
        for p, q in zip(hands[i], hands[j], strict=True)
    ]
    return hand, tracks[i]


def shape_of(hand, width, height):
    """(s, P0, position 63, spread 5, angles 10) of one valid hand."""
    points = [[x, y * height / width, z] for x, y, z in hand]
    s = norm(minus(points[9], points[0]))
    p = [[c / s for c in minus(joint, points[0])] for joint in points]
    tips = [4, 8, 12, 16, 20]
    spread = [norm(minus(p[tips[i]], p[tips[(i + 1) % 5]])) for i in range(5)]
    angles = []
    for finger in FINGERS:
        root = [finger[0]] if finger[0] == 1 else [0, finger[0]]
        chain = root + list(finger[1:])
        angles += [_angle(*(points[joint] for joint in chain[i : i + 3])) for i in range(2)]
    return s, points[0], [c for joint in p for c in joint], spread, angles


def _angle(a, b, c):
    u, v = minus(a, b), minus(c, b)
    cross = [u[1] * v[2] - u[2] * v[1], u[2] * v[0] - u[0] * v[2], u[0] * v[1] - u[1] * v[0]]
    return math.atan2(norm(cross), sum(p * q for p, q in zip(u, v, strict=True)))


def frames(hands, times, tracks, width, height):
    """[(features 147, usable, P0, s, nearest source row)], wrist_trajectory left 0."""
    out = []
    last = None
    for k, (t, hand, track, near) in enumerate(on_grid(hands, times, tracks, width, height)):
        if hand is not None and is_valid(hand, width, height):
            s, wrist, position, spread, angles = shape_of(hand, width, height)
            moved, raw = [0.0] * 63, [0.0] * 3
            if last is not None and last["track"] == track and (t - last["t"]) <= 0.2 + 1e-6:
                dt = t - last["t"]
                moved = [(a - b) / dt for a, b in zip(position, last["position"], strict=True)]
                raw = [(a - b) / dt for a, b in zip(hand[0], last["raw"], strict=True)]
            row = [*position, *spread, 0.0, 0.0, 0.0, *moved, *angles, *raw]
            last = {
                "t": t,
                "k": k,
                "track": track,
                "position": position,
                "raw": hand[0],
                "row": row,
                "wrist": wrist,
                "s": s,
            }
            out.append((row, True, wrist, s, near))
        elif last is not None and k - last["k"] <= 3:
            row = list(last["row"])
            row[71:134] = [0.0] * 63
            row[144:147] = [0.0] * 3
            out.append((row, True, last["wrist"], last["s"], near))
        else:
            out.append(([0.0] * 147, False, [0.0] * 3, 0.0, near))
    return out


def windows(rows, length=16, stride=4, needed=13):
    """([(start, [147 floats] * length, [usable] * length)], number dropped)."""
    kept, dropped = [], 0
    for start in range(0, len(rows) - length + 1, stride):
        part = rows[start : start + length]
        if sum(row[1] for row in part) < needed:
            dropped += 1
            continue
        origin = next(row[2] for row in part if row[1])
        window = []
        for row, usable, wrist, s, _ in part:
            row = list(row)
            if usable:
                row[68:71] = [(a - b) / s for a, b in zip(wrist, origin, strict=True)]
            window.append(row)
        kept.append((start, window, [row[1] for row in part]))
    return kept, dropped
