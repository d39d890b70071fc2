"""`live`: a model on a camera or a video file: hands found, judged, debounced, drawn, recorded."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TextIO

from pgc_data.config import Config, option
from pgc_data.errors import ConfigError, DataError
from pgc_data.hands.backends import HAND_CLASSES, PROVIDERS, make_backend
from pgc_data.hands.model_file import ModelFile
from pgc_data.hands.types import Backend
from pgc_data.inference.facts import ModelFacts
from pgc_data.inference.options import size_option
from pgc_data.inference.rows import check_suffix
from pgc_data.live.classify import make_classifier
from pgc_data.live.debounce import DebounceRule
from pgc_data.live.finder import HandFinder
from pgc_data.live.loop import LiveLoop, LiveReport, ScreenWindow, run_loop
from pgc_data.live.record import RESULT_SUFFIXES, VIDEO_SUFFIXES, open_results, recording
from pgc_data.live.sources import check_display, make_source
from pgc_data.live.types import Classifier
from pgc_data.progress import Progress
from pgc_data.stages import networks
from pgc_data.stages.extract import CONFIDENCE, ExtractConfig
from pgc_data.stages.summary import Plan, aligned
from pgc_data.storage.files import ensure_writable

log = logging.getLogger(__name__)

# Backends that find hands in any picture.
BACKENDS = ("mediapipe", "direct", "onnx")
_SHOWN = 12


@dataclass(frozen=True, kw_only=True)
class LiveConfig(Config):
    """Which model on which source, how hands are found, and what is recorded."""

    model: Path = option(..., "ONNX file of a pointing or sequence model", argument=True, local=True)
    source: str = option(
        "0", "number of a camera, a video file, or a folder of numbered images", metavar="SOURCE"
    )
    output: Path | None = option(
        None, "annotated video to write (.mp4, .mkv, .mov)", metavar="FILE", local=True
    )
    results: Path | None = option(
        None, "what is said of each frame, to write (.jsonl, .parquet, .csv)", metavar="FILE"
    )
    headless: bool = option(False, "open no window")
    mirror: bool = option(False, "show the picture as in a mirror; the model sees it as it is")
    seconds: float | None = option(None, "stop after so much of the source's time", minimum=0.0)
    enter: float | None = option(
        None,
        "probability from which a class can begin; the model's threshold by default",
        minimum=0.0,
        maximum=1.0,
    )
    leave: float | None = option(
        None, "probability below which it can end; 0.1 less than enter by default", minimum=0.0, maximum=1.0
    )
    enter_seconds: float = option(0.1, "how long it must last before it begins", minimum=0.0)
    leave_seconds: float = option(0.2, "how long it must be gone before it ends", minimum=0.0)
    backend: str = option("mediapipe", "what finds hands", choices=BACKENDS)
    hands: int = option(2, "hands to look for in a frame; looking for one alone is faster", minimum=1)
    confidence: float = option(CONFIDENCE, "least confidence of a hand", minimum=0.0, maximum=1.0)
    margin: float | None = option(
        None,
        "around a hand's crop, as a share of its longer side; what the model says by default",
        minimum=0.0,
    )
    hand_model: Path | None = option(
        None, "hand landmarker bundle (.task); found or fetched by default", local=True
    )
    detector: Path | None = option(None, "onnx: detector (.onnx), as in extract", local=True)
    detector_classes: tuple[int, ...] = option(
        (), f"onnx: numbers of the detector's classes that are hands; {HAND_CLASSES[0]} by default"
    )
    image_size: str | None = option(
        None, "height and width for a model that leaves them open; 32x32 by default", metavar="HxW"
    )
    provider: str = option("cpu", "what model and detector run on", choices=PROVIDERS)

    def __post_init__(self) -> None:
        """Checks every field.

        Raises:
            ConfigError: see `Config`; or options that do not go together, or files of other endings.
        """
        super().__post_init__()
        size_option(self.image_size)
        _ = self.finding
        if self.output is not None:
            check_suffix("output", self.output, VIDEO_SUFFIXES)
        if self.results is not None:
            check_suffix("results", self.results, RESULT_SUFFIXES)
        if self.leave is not None and self.enter is not None and self.leave > self.enter:
            raise ConfigError(f"leave={self.leave} is above enter={self.enter}: it must be at most that")
        if self.headless and self.output is None and self.results is None:
            raise ConfigError(
                "nothing would come of it: with --headless give --output FILE, --results FILE or both"
            )

    @property
    def finding(self) -> ExtractConfig:
        """How extraction would be told to find hands so; checks what the backend is given."""
        is_onnx = self.backend == "onnx"
        return ExtractConfig(
            dataset="live", backend=self.backend, hand_model=self.hand_model, detector=self.detector,
            detector_classes=self.detector_classes, provider=self.provider if is_onnx else None, hands=self.hands,
            confidence=self.confidence, workspace=self.workspace,
        )  # fmt: skip


@dataclass(frozen=True)
class LiveSummary:
    """What happened; see `LiveReport`."""

    source: str
    report: LiveReport
    written: tuple[Path, ...]
    exit_code: int = 0

    def as_dict(self) -> dict[str, Any]:
        """The result as JSON values."""
        report = self.report
        return {
            "source": self.source, "frames": report.frames, "with_hand": report.with_hand,
            "seconds": report.time, "elapsed_s": report.elapsed, "frames_per_s": report.rate,
            "spent_s": dict(report.spent), "stopped": report.stopped,
            "events": [asdict(event) for event in report.events], "written": [str(path) for path in self.written],
        }  # fmt: skip

    def lines(self) -> list[str]:
        """The result as lines of text."""
        report = self.report
        share = report.with_hand / report.frames if report.frames else 0.0
        ended = {"user": ", stopped by the user", "time": ", stopped by --seconds"}.get(report.stopped, "")
        spent = ", ".join(
            f"{part} {1000 * each / max(report.frames, 1):.1f}" for part, each in report.spent.items()
        )
        ends = [event for event in report.events if event.kind == "end"]
        rows = [
            (event.label, f"{event.since - (event.duration or 0):.2f} s", f"{event.duration or 0:.2f} s")
            for event in ends[:_SHOWN]
        ]
        return [
            f"{self.source}: {report.frames:,} frames, {report.time:.1f} s{ended}; a hand in {share:.1%}",
            f"  {report.rate:.1f} frames/s (ms a frame: {spent})",
            f"  {len(ends):,} gestures" + (": class, begin, duration" if ends else ""),
            *(aligned(rows, "    ") if rows else []),
            *([f"    and {len(ends) - _SHOWN:,} more"] if len(ends) > _SHOWN else []),
            *(f"  written: {path}" for path in self.written),
        ]


def plan(config: LiveConfig) -> Plan:
    """What `run` would read and write."""
    _classifier(config)
    reads = [config.model, *([] if config.source.isdigit() else [Path(config.source)])]
    source = None if config.source.isdigit() else make_source(config.source)
    work = "until it is stopped" if source is None else f"{source.count or 0:,} frames"
    return Plan(tuple(reads), _outputs(config), work)


def run(config: LiveConfig) -> LiveSummary:
    """Runs a model on a source until that ends, the user stops it, or the time is over.

    Raises:
        ConfigError: no such model, no display for a window, or options that do not go together.
        DataError: no such camera or file, a model that cannot be used, or a file that cannot be written.
    """
    classifier, facts = _classifier(config)
    log.info("%s: %s", config.model, facts)
    for path in _outputs(config):
        ensure_writable(path.parent)
    if not config.headless:
        check_display()
    with ExitStack() as stack:
        source = make_source(config.source)
        models = networks.find_models(config.finding)
        stack.enter_context(quiet_native())
        finder = stack.enter_context(closing(HandFinder(_backend(config, models))))
        window = None if config.headless else stack.enter_context(closing(ScreenWindow("pgc-data live")))
        recorder = config.output and stack.enter_context(recording(config.output, source.fps))
        results = config.results and open_results(config.results, stack, {"model": config.model.name})
        loop = LiveLoop(
            source, finder, classifier, _rule(config, classifier), window, recorder or None, results or None,
            config.mirror, config.seconds,
        )  # fmt: skip
        report = _run(loop, source.count)
    if not report.frames and report.stopped == "end":
        raise DataError(f"no frame of {config.source} could be read: check the file or the camera")
    return LiveSummary(config.source, report, _outputs(config))


def _classifier(config: LiveConfig) -> tuple[Classifier, ModelFacts]:
    return make_classifier(config.model, config.provider, size_option(config.image_size), config.margin)


def _backend(config: LiveConfig, models: Mapping[str, ModelFile]) -> Backend:
    finding = config.finding
    main = networks.main_model(finding, models)
    return make_backend(
        config.backend, None if main is None else main.path, config.hands, config.confidence,
        networks.box_settings(finding, models),
    )  # fmt: skip


def _rule(config: LiveConfig, classifier: Classifier) -> DebounceRule:
    enter = classifier.threshold if config.enter is None else config.enter
    leave = max(enter - 0.1, 0.0) if config.leave is None else config.leave
    return DebounceRule(enter, leave, config.enter_seconds, config.leave_seconds)


def _run(loop: LiveLoop, count: int | None) -> LiveReport:
    """Runs the loop; a camera has no end that progress could count to."""
    if count is None:
        return run_loop(loop)
    with Progress("live", count, "frames") as progress:
        return run_loop(loop, progress.add)


def _outputs(config: LiveConfig) -> tuple[Path, ...]:
    return tuple(path for path in (config.output, config.results) if path is not None)


@contextmanager
def quiet_native() -> Iterator[None]:
    """Keeps native libraries off the terminal, where MediaPipe writes warnings; Python's own output still goes there.

    With `--debug` everything is shown.
    """
    usual: TextIO | None = sys.stderr
    if usual is None or log.isEnabledFor(logging.DEBUG):
        yield
        return
    with ExitStack() as stack:
        usual.flush()
        terminal = os.dup(2)
        stack.callback(os.close, terminal)
        nowhere = stack.enter_context(Path(os.devnull).open("w"))
        os.dup2(nowhere.fileno(), 2)
        stack.callback(os.dup2, terminal, 2)
        sys.stderr = stack.enter_context(os.fdopen(os.dup(terminal), "w", encoding=usual.encoding))
        try:
            yield
        finally:
            sys.stderr = usual
