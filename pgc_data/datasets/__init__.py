"""The source datasets, one file each, and the vocabularies their labels map to."""

from __future__ import annotations

from pgc_data.config import unknown_name
from pgc_data.datasets.base import Dataset, Ingested, Ingester, Licence
from pgc_data.datasets.folder import FOLDER
from pgc_data.datasets.hagrid import HAGRID
from pgc_data.datasets.ipn import IPN
from pgc_data.datasets.jester import JESTER
from pgc_data.datasets.leapgestrecog import LEAPGESTRECOG

DATASETS = {dataset.id: dataset for dataset in (IPN, JESTER, LEAPGESTRECOG, HAGRID, FOLDER)}


def dataset(name: str) -> Dataset:
    """The dataset called `name`.

    Raises:
        ConfigError: no such dataset.
    """
    if name not in DATASETS:
        raise unknown_name("dataset", name, DATASETS)
    return DATASETS[name]


def ingester(name: str) -> Ingester:
    """The function that reads the raw layout of dataset `name`.

    Raises:
        ConfigError: no such dataset.
    """
    return dataset(name).ingest


__all__ = ["DATASETS", "Dataset", "Ingested", "Ingester", "Licence", "dataset", "ingester"]
