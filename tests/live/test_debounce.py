"""States over scripted sequences: a character a frame, at 10 frames a second."""

from __future__ import annotations

import pytest

from pgc_data.errors import ConfigError
from pgc_data.live.debounce import Debouncer, DebounceRule, States
from pgc_data.live.types import SCENE, Verdict

# Probability of each character; None where nothing is seen.
SCRIPT = {"_": None, "0": 0.0, "4": 0.4, "5": 0.5, "6": 0.6, "9": 0.9}
RULE = DebounceRule(enter=0.6, leave=0.4, enter_s=0.2, leave_s=0.3)


def states(script, rule):
    """What is active after each frame, `-` or `P`."""
    debouncer, shown = Debouncer(rule), ""
    for number, character in enumerate(script):
        probability = SCRIPT[character]
        debouncer.update(number / 10, None if probability is None else [probability])
        shown += "-" if debouncer.active is None else "P"
    return shown


@pytest.mark.parametrize(
    ("script", "shown"),
    [
        ("0000", "----"),
        ("9999", "--PP"),
        ("6666", "--PP"),
        ("5555", "----"),
        ("99099", "-----"),
        ("99_99", "-----"),
        ("9990999", "--PPPPP"),
        ("99900999", "--PPPPPP"),
        ("999000000", "--PPPP---"),
        ("999______", "--PPPP---"),
        ("9995555555", "--PPPPPPPP"),
        ("9994444444", "--PPPPPPPP"),
        ("9990040000", "--PPPPPPP-"),
        ("999_00900_00", "--PPPPPPPP--"),
        ("9990000999", "--PPPP---P"),
        ("9595959", "-------"),
    ],
)
def test_a_state_begins_late_and_ends_late(script, shown):
    assert states(script, RULE) == shown


def test_without_durations_every_frame_decides():
    assert states("0909_9", DebounceRule(0.6, 0.4, 0.0, 0.0)) == "-P-P-P"


def test_durations_are_of_time_and_not_of_frames():
    slow, fast = Debouncer(RULE), Debouncer(RULE)
    assert [bool(slow.update(time, [0.9])) for time in (0.0, 0.5)] == [False, True]
    assert [bool(fast.update(number / 100, [0.9])) for number in range(21)] == [False] * 20 + [True]


def test_of_several_classes_the_next_begins_when_the_last_ends():
    debouncer, changes = Debouncer(RULE), []
    script = [(0.9, 0.0)] * 4 + [(0.0, 0.9)] * 5
    for number, probabilities in enumerate(script):
        changes += [(number, *change[:2]) for change in debouncer.update(number / 10, probabilities)]
    assert changes == [(2, 0, "start"), (7, 0, "end"), (7, 1, "start")]
    assert debouncer.since == 0.4


def test_a_class_that_is_overtaken_but_not_low_goes_on():
    debouncer = Debouncer(RULE)
    for number, probabilities in enumerate([(0.9, 0.0)] * 3 + [(0.5, 0.9)] * 9):
        debouncer.update(number / 10, probabilities)
    assert debouncer.active == 0


def test_tracks_have_states_of_their_own():
    states, events = States(RULE, ["pointing"]), []
    for number in range(12):
        verdicts = [Verdict(3, (0.9,))] if number < 4 else []
        events += states.update(number / 10, [*verdicts, Verdict(5, (0.0,))])
    assert [(e.kind, e.track, e.label) for e in events] == [("start", 3, "pointing"), ("end", 3, "pointing")]
    start, end = events
    assert (start.time, start.since, start.duration) == (0.2, 0.0, None)
    assert (end.time, end.since, end.duration) == (0.7, 0.4, 0.4)
    assert states.active_tracks() == {}


def test_what_is_active_ends_with_the_source():
    states = States(DebounceRule(enter_s=0), ["a", "b"])
    states.update(1.0, [Verdict(SCENE, (0.1, 0.8))])
    assert states.active_tracks() == {SCENE: "b"}
    (end,) = states.finish(4.0)
    assert (end.kind, end.label, end.duration) == ("end", "b", 3.0)
    assert states.finish(5.0) == []


def test_leave_is_not_above_enter():
    with pytest.raises(ConfigError, match=r"leave=0.7 is above enter=0.6"):
        DebounceRule(0.6, 0.7)
