"""From a probability a frame to states that last: entered late enough to be meant, left late enough not to flicker."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from pgc_data.errors import ConfigError
from pgc_data.live.types import Event, Verdict

# Times of frames are sums of floats.
_ROUNDING_S = 1e-6


@dataclass(frozen=True)
class DebounceRule:
    """When a class begins and ends.

    Attributes:
        enter: the least probability with which it can begin.
        leave: below this it can end; at most `enter`.
        enter_s: how long it must stay at `enter` or above before it begins, seconds.
        leave_s: how long it must stay below `leave`, or unseen, before it ends, seconds.
    """

    enter: float = 0.5
    leave: float = 0.4
    enter_s: float = 0.1
    leave_s: float = 0.2

    def __post_init__(self) -> None:
        """Checks that what begins does not end by the same probability.

        Raises:
            ConfigError: `leave` is above `enter`.
        """
        if self.leave > self.enter:
            raise ConfigError(f"leave={self.leave} is above enter={self.enter}: it must be at most that")


@dataclass
class Debouncer:
    """The state of one hand, or of the scene: no class, or one of some classes.

    Idle: the likeliest class begins when it alone has been the likeliest, at `enter` or above, for `enter_s`.
    Active: the class ends when it has been below `leave`, or unseen, for `leave_s`; another may begin in that same
    frame, having waited meanwhile.

    Attributes:
        rule: when classes begin and end.
        active: number of the class that has begun, or None.
        since: time from which on it was at `enter` or above, seconds.

    Example:
        >>> debouncer = Debouncer(DebounceRule(enter_s=0.1, leave_s=0.1))
        >>> [debouncer.update(t / 10, [p]) for t, p in enumerate([0.9, 0.9, 0.1, 0.1])][1]
        [(0, 'start', 0.0)]
        >>> debouncer.active is None
        True
    """

    rule: DebounceRule
    active: int | None = None
    since: float = 0.0
    _candidate: int | None = field(default=None, init=False)
    _candidate_since: float = field(default=0.0, init=False)
    _low_since: float | None = field(default=None, init=False)

    def update(self, time: float, probabilities: Sequence[float] | None) -> list[tuple[int, str, float]]:
        """Takes the next frame.

        Args:
            time: of the frame, seconds; grows.
            probabilities: of each class; None where nothing is seen.

        Returns:
            What changes: class, `start` or `end`, and the time from which it was so; an end comes before a start.
        """
        seen = list(probabilities or ())
        self._follow(time, seen)
        changes = []
        if self.active is not None and self._left(time, seen):
            assert self._low_since is not None
            changes.append((self.active, "end", self._low_since))
            self.active, self._low_since = None, None
        waited = time - self._candidate_since >= self.rule.enter_s - _ROUNDING_S
        if self.active is None and self._candidate is not None and waited:
            self.active, self.since = self._candidate, self._candidate_since
            changes.append((self.active, "start", self.since))
        return changes

    def _follow(self, time: float, seen: Sequence[float]) -> None:
        """Notes since when which class could begin."""
        best = max(range(len(seen)), key=seen.__getitem__, default=None)
        if best is not None and seen[best] < self.rule.enter:
            best = None
        if best != self._candidate:
            self._candidate, self._candidate_since = best, time

    def _left(self, time: float, seen: Sequence[float]) -> bool:
        """Whether the active class has been low for long enough."""
        assert self.active is not None
        if seen and seen[self.active] >= self.rule.leave:
            self._low_since = None
            return False
        if self._low_since is None:
            self._low_since = time
        return time - self._low_since >= self.rule.leave_s - _ROUNDING_S


class States:
    """The states of all tracks: one `Debouncer` each."""

    def __init__(self, rule: DebounceRule, classes: Sequence[str]) -> None:
        """Nothing is seen yet.

        Args:
            rule: when classes begin and end.
            classes: names, in the order of probabilities.
        """
        self._rule, self._classes = rule, tuple(classes)
        self._tracks: dict[int, Debouncer] = {}

    def update(self, time: float, verdicts: Iterable[Verdict]) -> list[Event]:
        """Takes what is said of a frame; a track of which nothing is said is unseen."""
        said = {verdict.track: verdict.probabilities for verdict in verdicts}
        events = []
        for track in sorted({*said, *self._tracks}):
            debouncer = self._tracks.setdefault(track, Debouncer(self._rule))
            begun = debouncer.since
            for number, what, since in debouncer.update(time, said.get(track)):
                lasted = since - begun if what == "end" else None
                events.append(Event(what, track, self._classes[number], time, since, lasted))
            if track not in said and debouncer.active is None:
                del self._tracks[track]
        return events

    def finish(self, time: float) -> list[Event]:
        """Ends whatever is active, at the end of the source."""
        events = [
            Event("end", track, self._classes[each.active], time, time, time - each.since)
            for track, each in sorted(self._tracks.items())
            if each.active is not None
        ]
        self._tracks.clear()
        return events

    def active_tracks(self) -> dict[int, str]:
        """Track -> the class that is active."""
        return {
            track: self._classes[each.active]
            for track, each in self._tracks.items()
            if each.active is not None
        }
