"""Sends a dataset to a repository of the Hub, where it appears at once and whole.

Files go to a branch of their own in several commits, each of which stays when the run is stopped. When all are there,
one commit on the wanted branch takes them over without sending them again, removes what an earlier push had more, and
the branch of their own is removed. Who loads the dataset meanwhile gets the earlier one.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pgc_data.errors import ConfigError, DataError
from pgc_data.progress import Progress
from pgc_data.publishing.dataset_files import AUDIT_FOLDER, CheckedFile
from pgc_data.storage.remote import local_file
from pgc_data.tables.manifest import MANIFEST_FILE

if TYPE_CHECKING:
    from huggingface_hub import HfApi
    from huggingface_hub.hf_api import RepoFile

_KIND = "dataset"
_MB = 1_000_000
# The Hub takes 128 commits an hour, and advises at most 100 files in one.
_BATCH_BYTES, _BATCH_FILES, _MOST_BATCHES = 256 * _MB, 100, 50

Tree = Mapping[str, "RepoFile"]


@dataclass(frozen=True)
class Target:
    """Where to push.

    Attributes:
        repo: USER/DATASET.
        revision: branch; made from the main one if it is missing.
        private: whether a repository that is made is private.
    """

    repo: str
    revision: str
    private: bool

    @property
    def staging(self) -> str:
        """The branch where files wait until all are there."""
        return f"pgc-data-upload-{self.revision}"


@dataclass(frozen=True)
class Pushed:
    """What a push did.

    Attributes:
        url: of the repository.
        private: whether only its owner sees it.
        commit: the branch's commit now.
        sent: files sent by this run.
        sent_bytes: their size.
        waiting: files that an earlier run, which was stopped, had sent.
        unchanged: files that were there already.
        removed: files of an earlier push that are gone.
    """

    url: str
    private: bool
    commit: str
    sent: tuple[str, ...]
    sent_bytes: int
    waiting: tuple[str, ...]
    unchanged: tuple[str, ...]
    removed: tuple[str, ...]


def push(api: HfApi, target: Target, files: Sequence[CheckedFile], message: str, description: str) -> Pushed:
    """Makes the branch hold these files, and of earlier pushes no others.

    Args:
        api: see `hub.connect`.
        target: where to.
        files: of the dataset, checked.
        message: title of the commit.
        description: more about it.

    Raises:
        ConfigError: the repository is public, though a private one is wanted.
        DataError: a file changed while it was sent.
        Exception: what the library raises; see `hub.explained`.
    """
    private, head = _repository(api, target)
    there = _tree(api, target.repo, target.revision) or {}
    changed = [file for file in files if not _is_same(there.get(file.file.path), file)]
    stale = _stale(api, target, there, files)
    staged = _tree(api, target.repo, target.staging)
    missing = [file for file in changed if not _is_same((staged or {}).get(file.file.path), file)]
    if changed and staged is None:
        api.create_branch(target.repo, branch=target.staging, revision=head, repo_type=_KIND, exist_ok=True)
    _stage(api, target, missing)
    if changed or stale:
        head = _publish(api, target, head, changed, stale, message, description)
    if changed or staged is not None:
        api.delete_branch(target.repo, branch=target.staging, repo_type=_KIND)
    new, waiting = {f.file.path for f in missing}, {f.file.path for f in changed}
    return Pushed(
        f"{api.endpoint}/datasets/{target.repo}", private, head,
        sent=tuple(f.file.path for f in missing), sent_bytes=sum(f.file.bytes for f in missing),
        waiting=tuple(sorted(waiting - new)), unchanged=tuple(sorted({f.file.path for f in files} - waiting)),
        removed=tuple(stale),
    )  # fmt: skip


def _repository(api: HfApi, target: Target) -> tuple[bool, str]:
    """Makes the repository and the branch if they are missing; whether it is private, and the branch's commit."""
    from huggingface_hub.errors import RepositoryNotFoundError, RevisionNotFoundError

    try:
        info = api.dataset_info(target.repo)
    except RepositoryNotFoundError:
        api.create_repo(target.repo, repo_type=_KIND, private=target.private or None)
        info = api.dataset_info(target.repo)
    if target.private and not info.private:
        raise ConfigError(f"{target.repo} is there and public: leave --private out, or name another --repo")
    try:
        found = api.dataset_info(target.repo, revision=target.revision)
    except RevisionNotFoundError:
        api.create_branch(target.repo, branch=target.revision, repo_type=_KIND)
        found = api.dataset_info(target.repo, revision=target.revision)
    return bool(info.private), str(found.sha)


def _tree(api: HfApi, repo: str, revision: str) -> Tree | None:
    """Path -> file of a branch; None where there is no such branch."""
    from huggingface_hub.errors import RevisionNotFoundError
    from huggingface_hub.hf_api import RepoFile

    try:
        found = list(api.list_repo_tree(repo, recursive=True, revision=revision, repo_type=_KIND))
    except RevisionNotFoundError:
        return None
    return {item.path: item for item in found if isinstance(item, RepoFile)}


def _is_same(there: RepoFile | None, file: CheckedFile) -> bool:
    """Whether a file of the repository has these bytes: large ones are known by SHA-256, others by git's name."""
    if there is None:
        return False
    return there.lfs.sha256 == file.sha256 if there.lfs else there.blob_id == file.blob_id


def _stale(api: HfApi, target: Target, there: Tree, files: Sequence[CheckedFile]) -> list[str]:
    """What earlier pushes have left: named by the manifest there, or in a folder that is the dataset's now."""
    ours = {file.file.path for file in files}
    folders = {path.partition("/")[0] for path in ours if "/" in path} | {AUDIT_FOLDER}
    earlier: set[str] = set()
    if MANIFEST_FILE in there:
        with tempfile.TemporaryDirectory() as folder:
            path = api.hf_hub_download(
                target.repo, MANIFEST_FILE, repo_type=_KIND, revision=target.revision, local_dir=folder
            )
            earlier = _named_by(Path(path).read_bytes())
    return sorted(
        path
        for path in there.keys() - ours
        if path in earlier or ("/" in path and path.partition("/")[0] in folders)
    )


def _named_by(manifest: bytes) -> set[str]:
    """The files that a published manifest names; none where it is not one of pgc-data."""
    try:
        return {str(file["path"]) for file in json.loads(manifest)["files"]}
    except (ValueError, KeyError, TypeError):
        return set()


def _stage(api: HfApi, target: Target, files: Sequence[CheckedFile]) -> None:
    """Sends files to the branch where they wait, a batch in a commit."""
    from huggingface_hub import CommitOperationAdd

    total = sum(file.file.bytes for file in files)
    with Progress("push-to-hub", total // _MB, "MB") as progress:
        for batch in _batches(files, max(_BATCH_BYTES, total // _MOST_BATCHES)):
            with ExitStack() as stack:
                api.create_commit(
                    target.repo,
                    [
                        CommitOperationAdd(file.file.path, stack.enter_context(local_file(file.file.local)))
                        for file in batch
                    ],
                    commit_message=f"Upload {len(batch)} files",
                    repo_type=_KIND,
                    revision=target.staging,
                )
            progress.add(sum(file.file.bytes for file in batch) // _MB)


def _batches(files: Sequence[CheckedFile], least_bytes: int) -> Iterator[list[CheckedFile]]:
    """Cuts files into runs of at least so many bytes, but the last, and at most `_BATCH_FILES` files."""
    batch: list[CheckedFile] = []
    for file in files:
        batch.append(file)
        if len(batch) >= _BATCH_FILES or sum(f.file.bytes for f in batch) >= least_bytes:
            yield batch
            batch = []
    if batch:
        yield batch


def _publish(
    api: HfApi,
    target: Target,
    head: str,
    changed: Sequence[CheckedFile],
    stale: Sequence[str],
    message: str,
    description: str,
) -> str:
    """One commit that takes over what waits and removes what is stale, if the branch is still at `head`."""
    from huggingface_hub import CommitOperationCopy, CommitOperationDelete

    if changed:
        _require(_tree(api, target.repo, target.staging), changed, "changed while it was sent")
    copies = [CommitOperationCopy(f.file.path, f.file.path, src_revision=target.staging) for f in changed]
    commit = api.create_commit(
        target.repo,
        [*copies, *(CommitOperationDelete(path) for path in stale)],
        commit_message=message,
        commit_description=description,
        repo_type=_KIND,
        revision=target.revision,
        parent_commit=head,
    )
    _require(_tree(api, target.repo, target.revision), changed, "did not arrive")
    return str(commit.oid)


def _require(there: Tree | None, files: Sequence[CheckedFile], fault: str) -> None:
    for file in files:
        if not _is_same((there or {}).get(file.file.path), file):
            raise DataError(f"{file.file.local} {fault}: run the same command again")
