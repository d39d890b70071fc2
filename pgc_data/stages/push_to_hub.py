"""`push-to-hub`: publishes a dataset on the Hugging Face Hub, if its licences allow it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pgc_data import __version__
from pgc_data.config import Config, option
from pgc_data.errors import ConfigError
from pgc_data.publishing.dataset_files import DatasetFile, Publishable, check_files, open_dataset
from pgc_data.publishing.hub import connect, explained, quiet
from pgc_data.publishing.licence_rules import Verdict
from pgc_data.publishing.push import Pushed, Target, push
from pgc_data.stages.summary import aligned
from pgc_data.storage.workspace import Workspace, check_name

_REPO = re.compile(r"[\w.-]+/[\w.-]+", re.ASCII)


@dataclass(frozen=True, kw_only=True)
class PushToHubConfig(Config):
    """What to publish, and where."""

    name: str = option(..., "dataset in the workspace", argument=True)
    repo: str = option(..., "repository to publish it in, made if it is missing", metavar="USER/DATASET")
    private: bool = option(False, "make the repository a private one")
    revision: str = option("main", "branch of the repository, made if it is missing", metavar="BRANCH")
    force_licence: str | None = option(
        None, "publish although a licence forbids it, for this reason, which is recorded", metavar="REASON"
    )

    def __post_init__(self) -> None:
        """Checks every field; see `Config`."""
        super().__post_init__()
        check_name(self.name)
        if not _REPO.fullmatch(self.repo):
            raise ConfigError(f"--repo {self.repo!r} is not USER/DATASET, such as ada/ipn-pointing")
        if not self.revision.strip():
            raise ConfigError("--revision is empty: leave it out for main")
        if self.force_licence is not None and not self.force_licence.strip():
            raise ConfigError(
                "--force-licence needs the reason in words, such as 'written consent of the owner'"
            )


@dataclass(frozen=True)
class PushPlan:
    """What a push would send.

    Attributes:
        dataset: the files and the verdicts on its licences.
        repo: where to.
        refusal: why it would be refused; None if it would not.
    """

    dataset: Publishable
    repo: str
    refusal: str | None

    @property
    def exit_code(self) -> int:
        """2 if the licences forbid it, else 0."""
        return ConfigError.exit_code if self.refusal else 0

    def as_dict(self) -> dict[str, Any]:
        """The plan as JSON values."""
        files = [{"path": f.path, "bytes": f.bytes} for f in self.dataset.files]
        return {
            "dry_run": True, "name": self.dataset.name, "repo": self.repo, "files": files,
            "bytes": self.dataset.bytes, "audit": self.dataset.audit,
            "licences": [verdict.as_dict() for verdict in self.dataset.licences], "refused": self.refusal,
        }  # fmt: skip

    def lines(self) -> list[str]:
        """The plan as lines of text."""
        return [
            f"would send {self.dataset.folder} to {self.repo}: {_amount(self.dataset.files)}",
            *aligned([(file.path, file.bytes) for file in self.dataset.files]),
            *(f"licence  {verdict.line()}" for verdict in self.dataset.licences),
            f"audit    {self.dataset.audit or _NO_AUDIT}",
            *([f"refused  {self.refusal}"] if self.refusal else []),
            "nothing was read but sizes, and nothing sent (--dry-run)",
        ]


_NO_AUDIT = "none of these files: none is published"


@dataclass(frozen=True)
class PushToHubSummary:
    """What was published.

    Attributes:
        dataset: the files and the verdicts on its licences.
        pushed: what was done.
        repo: where to.
        revision: which branch.
        forced: why it was published against a licence; None if none forbids it.
    """

    dataset: Publishable
    pushed: Pushed
    repo: str
    revision: str
    forced: str | None
    exit_code: int = 0

    def as_dict(self) -> dict[str, Any]:
        """The result as JSON values."""
        done = self.pushed
        return {
            "name": self.dataset.name, "repo": self.repo, "revision": self.revision, "url": done.url,
            "private": done.private, "commit": done.commit, "sent": list(done.sent), "sent_bytes": done.sent_bytes,
            "waiting": list(done.waiting), "unchanged": list(done.unchanged), "removed": list(done.removed),
            "audit": self.dataset.audit, "licences": [v.as_dict() for v in self.dataset.licences],
            "forced": self.forced,
        }  # fmt: skip

    def lines(self) -> list[str]:
        """The result as lines of text."""
        done = self.pushed
        kind = "private" if done.private else "public"
        counts = [
            f"{len(done.sent)} files sent ({done.sent_bytes / 1e6:,.1f} MB)",
            *([f"{len(done.waiting)} sent by a run that was stopped"] if done.waiting else []),
            f"{len(done.unchanged)} unchanged",
            *([f"{len(done.removed)} of an earlier push removed"] if done.removed else []),
        ]
        return [
            f"{self.dataset.name} is in {done.url} ({kind}), {self.revision} at {done.commit[:8]}",
            f"  {', '.join(counts)}",
            *(f"  licence: {verdict.line()}" for verdict in self.dataset.licences),
            *([f"  WARNING: published against a licence, because: {self.forced}"] if self.forced else []),
            f"  audit: {self.dataset.audit or _NO_AUDIT}",
        ]


def plan(config: PushToHubConfig) -> PushPlan:
    """What `run` would send, and whether the licences allow it; without the network.

    Raises:
        DataError: there is no such dataset, it is not whole, or its audit found a leak or damage.
    """
    dataset = open_dataset(Workspace(config.workspace).parquet(config.name))
    return PushPlan(dataset, config.repo, _refusal(dataset.licences, config.force_licence))


def run(config: PushToHubConfig) -> PushToHubSummary:
    """Publishes a dataset: checks it and its licences, then sends what the repository lacks.

    Raises:
        ConfigError: a licence forbids it and no reason is given; no huggingface_hub; no token; a bad repository.
        DataError: there is no such dataset, it is not whole, its audit found a leak or damage; or the Hub refuses,
            fails or cannot be reached.
    """
    dataset = open_dataset(Workspace(config.workspace).parquet(config.name))
    if (refusal := _refusal(dataset.licences, config.force_licence)) is not None:
        raise ConfigError(refusal)
    api = connect()
    files = check_files(dataset)
    target = Target(config.repo, config.revision, config.private)
    message = f"Push {dataset.name} with pgc-data {__version__}"
    with quiet(), explained(config.repo):
        pushed = push(api, target, files, message, _description(dataset.licences, config.force_licence))
    return PushToHubSummary(dataset, pushed, config.repo, config.revision, config.force_licence)


def _refusal(licences: Sequence[Verdict], force: str | None) -> str | None:
    """Why these may not be published, or why there is nothing to force."""
    forbidden = [verdict.line() for verdict in licences if not verdict.rule.allowed]
    if not forbidden and force is not None:
        return "--force-licence has nothing to force, every source may be published: leave it out"
    if forbidden and force is None:
        return (
            f"{'; '.join(forbidden)}. This holds for a private repository too. If you have the right all the same, "
            "give the reason: --force-licence REASON"
        )
    return None


def _description(licences: Sequence[Verdict], force: str | None) -> str:
    """What the commit says of the licences."""
    lines = [f"- {verdict.line()} ({verdict.rule.basis})" for verdict in licences]
    return "\n".join([*lines, *([f"\nPublished against a licence, because: {force}"] if force else [])])


def _amount(files: Sequence[DatasetFile]) -> str:
    return f"{len(files)} files, {sum(file.bytes for file in files) / 1e6:,.1f} MB"
