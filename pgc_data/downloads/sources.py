"""Where each dataset can be had, as data: the only module to change when a server moves."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from pgc_data.config import unknown_name
from pgc_data.errors import ConfigError

# The order in which sources are tried. `dir` is a folder on this machine and is only used when named.
KINDS = ("kaggle", "http", "gdrive", "dir")

_GB = 1_000_000_000


@dataclass(frozen=True)
class RemoteFile:
    """One file of a source.

    Attributes:
        name: file name here; unique in its offer.
        path: URL path below the source's base, or a Google Drive file id.
        alternatives: other paths, tried in order where the first is not found.
        bytes: exact size, None where unpublished.
        about: rough size in bytes, for the estimate of time and disk where `bytes` is None.
        sha256: of the file, None where unpublished.
        into: folder below the raw folder that an archive is unpacked into; None for a file that is kept as it is.
        root: entries of the archive that do not lie in this folder are put into it.
        label: the class whose images it holds, for `--classes`.
    """

    name: str
    path: str
    alternatives: tuple[str, ...] = ()
    bytes: int | None = None
    about: int | None = None
    sha256: str | None = None
    into: str | None = None
    root: str | None = None
    label: str | None = None

    @property
    def size(self) -> int | None:
        """Bytes, exact or rough; None where nobody says."""
        return self.bytes if self.bytes is not None else self.about


@dataclass(frozen=True)
class Source:
    """One place that has an offer.

    Attributes:
        kind: kaggle, http or gdrive.
        base: base URL of an http source; empty where there is none and `--base-url` must name a mirror.
        slug: OWNER/NAME of a Kaggle dataset; empty where none is known and `--kaggle-slug` must name one.
        files: what to fetch, in order. Kaggle sends one archive of everything, and so lists none.
        folders: Google Drive folders, whose files are listed when needed: (folder id, folder below raw, unpack).
        joined: name of the archive that `files` are the parts of, in order; None where each stands for itself.
        note: what the user has to know about it.
    """

    kind: str
    base: str = ""
    slug: str = ""
    files: tuple[RemoteFile, ...] = ()
    folders: tuple[tuple[str, str, bool], ...] = ()
    joined: str | None = None
    note: str = ""


@dataclass(frozen=True)
class Offer:
    """A dataset, or a part of it that can be had alone.

    Attributes:
        dataset: id.
        subset: name for `--subset`; the first offer of a dataset is the default.
        what: its content in words.
        release: offers of different releases may not share a raw folder.
        bytes: rough download size, None where nobody says.
        sources: in the order they are tried.
    """

    dataset: str
    subset: str
    what: str
    release: str
    bytes: int | None
    sources: tuple[Source, ...]


_IPN_ANNOTATIONS = "1-mihJEIFoNDpfo1puF8xAMJz6PGVKsBD"
_IPN_FRAMES = "1GJ3ZzidMngAK5lbcLtX5aENfXelIFAQe"
_IPN_VIDEOS = (
    "1HylyDnApIRNMloREqvKYWWhB88q7Z1Cg", "1tqR2FF8OlXGmYACw3TSxyS6QGDit_s3a",
    "1Dk7l-jAAvNLlb0faypAco88XYLWPa9g_", "1x0mDr-QHQtDkfcQAm9bKdWBR7Lj3fLcV",
    "1PCjldH6hmVYV7EObPf-jtNWCtDK60o6n",
)  # fmt: skip
_IPN_LISTS = (
    "Annot_List.txt", "Annot_TrainList.txt", "Annot_TestList.txt", "classIdx.txt", "Video_TrainList.txt",
    "Video_TestList.txt", "metadata.csv",
)  # fmt: skip


def _ipn_mirror(*files: RemoteFile) -> Source:
    lists = tuple(RemoteFile(f"annotations/{name}", f"annotations/{name}") for name in _IPN_LISTS)
    return Source(
        "http", files=(*lists, *files), note="IPN Hand has no HTTP server of its own: a mirror only"
    )


def _ipn_archives(what: str) -> Iterator[RemoteFile]:
    for number in range(1, 6):
        yield RemoteFile(f"{what}0{number}.tgz", f"{what}0{number}.tgz", into="", root=what)


_IPN = (
    Offer(
        "ipn", "frames", "annotation and frames (5 archives)", "ipn", None,
        (
            Source("kaggle"),
            _ipn_mirror(*_ipn_archives("frames")),
            Source("gdrive", folders=((_IPN_ANNOTATIONS, "annotations", False), (_IPN_FRAMES, "frames", True))),
        ),
    ),
    Offer(
        "ipn", "videos", "annotation and videos (frame counts are unreliable: prefer frames)", "ipn", 4_600_000_000,
        (
            _ipn_mirror(*_ipn_archives("videos")),
            Source(
                "gdrive",
                files=tuple(
                    RemoteFile(f"videos0{n}.tgz", drive_id, about=920_000_000, into="", root="videos")
                    for n, drive_id in enumerate(_IPN_VIDEOS, start=1)
                ),
                folders=((_IPN_ANNOTATIONS, "annotations", False),),
            ),
        ),
    ),
    Offer(
        "ipn", "annotations", "annotation only", "ipn", None,
        (_ipn_mirror(), Source("gdrive", folders=((_IPN_ANNOTATIONS, "annotations", False),))),
    ),
)  # fmt: skip

_JESTER_PARTS = (
    ("20bnjester-v1-00", 10_000_000_000, "477d047b06dca56a3ceb09026840afc5aa1a3f3318e4901dc772e51d43a1d8a7"),
    ("20bnjester-v1-01", 10_000_000_000, "93b840e531c4d785d33f9a334b8448c21d90895dad144bdf27555c1e2cec2f31"),
    ("20bnjester-v1-02", 2_930_724_987, "03bfb430c0be0c70517de0cd0efb09a87e6e7c6e4c4d5d7600ead7c76ef983e8"),
)
_JESTER = (
    Offer(
        "jester", "clips", "all clips as JPEG frames", "jester", 22_930_724_987,
        (
            Source("kaggle", slug="toxicmender/20bn-jester"),
            Source(
                "http",
                base="https://apigwx-aws.qualcomm.com/qsc/public/v1/api/download/software/dataset/AIDataset/Jester/",
                files=tuple(RemoteFile(name, name, bytes=size, sha256=digest) for name, size, digest in _JESTER_PARTS),
                joined="20bn-jester-v1.tgz",
                note="these archives hold no labels: `pgc-data download jester --subset labels` gets them",
            ),
        ),
    ),
    Offer(
        "jester", "labels", "the label files only", "jester", None,
        (Source("kaggle", slug="kylecloud/jester-csv"),),
    ),
)  # fmt: skip

_LEAP = (
    Offer(
        "leapgestrecog", "images", "all images (the archive holds them twice)", "leapgestrecog", 2_200_000_000,
        (
            Source("kaggle", slug="gti-upm/leapgestrecog"),
            Source(
                "http",
                files=(RemoteFile("leapgestrecog.zip", "leapgestrecog.zip", about=2_200_000_000, into=""),),
                note="LeapGestRecog has no HTTP server of its own: a mirror only",
            ),
        ),
    ),
)  # fmt: skip

_HAGRID_BASE = "https://rndml-team-cv.obs.ru-moscow-1.hc.sbercloud.ru/datasets/"
_HAGRID_V1_BASE = "https://n-usr-2uzac.s3pd12.sbercloud.ru/b-usr-2uzac-mv4/hagrid/"
_HAGRID_20 = "hagrid/hagrid_dataset_new_554800/"
_HAGRID_V1_LABELS = (
    "call", "dislike", "fist", "four", "like", "mute", "ok", "one", "palm", "peace", "peace_inverted", "rock",
    "stop", "stop_inverted", "three", "three2", "two_up", "two_up_inverted",
)  # fmt: skip
_HAGRID_V2_LABELS = (
    "grabbing", "grip", "holy", "point", "three3", "timeout", "xsign", "hand_heart", "hand_heart2",
    "little_finger", "middle_finger", "take_picture", "three_gun", "thumb_index", "thumb_index2", "no_gesture",
)  # fmt: skip
# Version 2 took these two classes anew.
_HAGRID_RENEWED = ("one", "rock")
# The official script asks for the first of these names, the official page links the second.
_HAGRID_MISNAMED = {"hand_heart2": ("hands_heart2", "hand_heart2")}


def _hagrid_class(label: str, paths: tuple[str, ...], about: int) -> RemoteFile:
    return RemoteFile(
        f"{label}.zip", paths[0], paths[1:], about=about, into="hagrid_dataset", root=label, label=label
    )


def _hagrid_v2_class(label: str) -> RemoteFile:
    old = label in _HAGRID_V1_LABELS and label not in _HAGRID_RENEWED
    folder = f"{_HAGRID_20}hagrid_dataset/" if old else "hagrid_v2/hagrid_v2_zip/"
    paths = tuple(f"{folder}{name}.zip" for name in _HAGRID_MISNAMED.get(label, (label,)))
    return _hagrid_class(label, paths, 494_000_000 if label == "no_gesture" else 45 * _GB)


def _hagrid_archive(path: str, root: str, about: int | None = None, label: str | None = None) -> RemoteFile:
    return RemoteFile(path.rsplit("/", 1)[-1], path, about=about, into="", root=root, label=label)


_HAGRID_V2_ANNOTATION = _hagrid_archive("hagrid_v2/annotations_with_landmarks/annotations.zip", "annotations")
_HAGRID_20_ANNOTATION = _hagrid_archive(f"{_HAGRID_20}annotations.zip", "annotations")


def _hagrid_http(subset: str, what: str, release: str, size: int | None, *files: RemoteFile) -> Offer:
    base = _HAGRID_V1_BASE if release == "v1" else _HAGRID_BASE
    return Offer("hagrid", subset, what, release, size, (Source("http", base=base, files=files),))


_V1_FILES = (
    _hagrid_archive("ann_train_val.zip", "ann_train_val"),
    _hagrid_archive("ann_test.zip", "ann_test"),
    *(_hagrid_archive(f"train_val_{c}.zip", f"train_val_{c}", 37 * _GB, c) for c in _HAGRID_V1_LABELS),
    _hagrid_archive("test.zip", "test", 50 * _GB),
)
_HAGRID = (
    _hagrid_http(
        "v2", "1,086,158 images of release v2, full size", "v2", 1_500 * _GB,
        _HAGRID_V2_ANNOTATION, *map(_hagrid_v2_class, (*_HAGRID_V1_LABELS, *_HAGRID_V2_LABELS)),
    ),
    _hagrid_http(
        "v2-512", "release v2, 512 pixels", "v2-512", 119_400_000_000,
        _HAGRID_V2_ANNOTATION,
        RemoteFile("hagridv2_512.zip", "hagrid_v2/hagridv2_512.zip", about=119_400_000_000, into=""),
    ),
    _hagrid_http("v2-annotations", "boxes and landmarks of release v2, no images", "v2", None, _HAGRID_V2_ANNOTATION),
    _hagrid_http(
        "2.0", "554,800 images of release 2.0, full size", "2.0", 723 * _GB, _HAGRID_20_ANNOTATION,
        *(_hagrid_class(c, (f"{_HAGRID_20}hagrid_dataset/{c}.zip",), 40 * _GB) for c in _HAGRID_V1_LABELS),
    ),
    _hagrid_http(
        "2.0-512", "release 2.0, 512 pixels", "2.0-512", 26_400_000_000, _HAGRID_20_ANNOTATION,
        RemoteFile("hagrid_dataset_512.zip", f"{_HAGRID_20}hagrid_dataset_512.zip", about=26_400_000_000, into=""),
    ),
    Offer(
        "hagrid", "v1", "552,992 images of release v1, full size", "v1", 716 * _GB,
        (
            Source("kaggle", slug="kapitanov/hagrid"),
            Source("http", base=_HAGRID_V1_BASE, files=_V1_FILES, note="this server may no longer exist"),
        ),
    ),
    _hagrid_http(
        "subsample", "100 images a class of release v1", "v1-subsample", 2_500_000_000,
        _hagrid_archive("subsample.zip", "subsample", 2_500_000_000),
        RemoteFile("ann_subsample.zip", "ann_subsample.zip", about=1_200_000, into="", root="ann_subsample"),
    ),
    Offer(
        "hagrid", "sample-30k", "about 30,000 images of release v1, 384 pixels", "v1-30k", None,
        (Source("kaggle", slug="innominate817/hagrid-sample-30k-384p"),),
    ),
)  # fmt: skip

OFFERS: dict[str, tuple[Offer, ...]] = {
    "ipn": _IPN,
    "jester": _JESTER,
    "leapgestrecog": _LEAP,
    "hagrid": _HAGRID,
}


def offers_of(dataset: str) -> tuple[Offer, ...]:
    """All offers of a dataset, the default one first.

    Raises:
        ConfigError: it cannot be downloaded.
    """
    if dataset not in OFFERS:
        raise ConfigError(
            f"{dataset} is nothing to download (can be: {', '.join(OFFERS)}): put your data into its raw folder"
        )
    return OFFERS[dataset]


def find_offer(dataset: str, subset: str | None) -> Offer:
    """The offer of a dataset called `subset`, or its default one.

    Raises:
        ConfigError: the dataset has no such subset.
    """
    offers = {offer.subset: offer for offer in offers_of(dataset)}
    if subset is None:
        return OFFERS[dataset][0]
    if subset not in offers:
        raise unknown_name(f"subset of {dataset}", subset, offers)
    return offers[subset]


def with_classes(offer: Offer, classes: tuple[str, ...]) -> Offer:
    """`offer` with only the archives of `classes`, and those that belong to no class.

    Raises:
        ConfigError: no source of it has an archive a class, or a class is unknown.
    """
    if not classes:
        return offer
    known = {file.label for source in offer.sources for file in source.files if file.label}
    if not known:
        names = sorted(
            {o.subset for o in OFFERS[offer.dataset] for s in o.sources if any(f.label for f in s.files)}
        )
        raise ConfigError(
            f"--classes: {offer.dataset} {offer.subset} does not come as an archive a class"
            + (f" (those do: --subset {', '.join(names)})" if names else "; leave it out")
        )
    for name in classes:
        if name not in known:
            raise unknown_name(f"class of {offer.dataset} {offer.subset}", name, known)
    sources = tuple(
        replace(s, files=tuple(f for f in s.files if f.label is None or f.label in classes))
        for s in offer.sources
        if any(f.label for f in s.files)
    )
    size = sum(file.size or 0 for file in sources[0].files)
    return replace(offer, sources=sources, bytes=size)
