from __future__ import annotations

import pickle
import sys

import numpy as np
import pytest
from loaders.tables import crop_row, number_of, write_dataset, write_file

import pgc_data
from pgc_data.errors import ConfigError, DataError
from pgc_data.stages import cache

torch = pytest.importorskip("torch")
from torch.utils.data import DataLoader, RandomSampler  # noqa: E402

SIZE = (16, 16)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Crops and windows of 95 rows in train, in row groups of 10, and a decoded cache of 16x16."""
    workspace = tmp_path_factory.mktemp("loaders")
    folder = write_dataset(write_dataset(workspace / "parquet" / "d", files=2), "windows")
    cache.run(cache.CacheConfig(workspace=workspace, name="d", size="16x16"))
    return folder


@pytest.fixture
def train(root):
    return pgc_data.load(root).split("train")


def numbers(batches):
    """The numbers of the rows of each batch, told by their images; columns must agree."""
    found = []
    for batch in batches:
        seen = [number_of(image) for image in batch["image"]]
        assert batch["class_id"].tolist() == [n % 2 for n in seen]
        found.append(seen)
    return found


def flat(batches):
    return sorted(n for batch in batches for n in batch)


def test_a_batch_of_crops(train):
    batch = next(
        iter(train.torch(8, size=SIZE, columns=["box", "label", "landmarks", "subject_id", "frame"]))
    )
    assert (batch["image"].shape, batch["image"].dtype) == ((8, 3, *SIZE), torch.uint8)
    assert batch["image"].is_contiguous(memory_format=torch.channels_last)
    assert (batch["class_id"].dtype, batch["class_id"].tolist()) == (torch.int64, [0, 1] * 4)
    assert batch["box"][:, 3].tolist() == batch["frame"].tolist() == list(range(8))
    assert batch["label"] == ["not_pointing", "pointing"] * 4
    assert batch["subject_id"][:4] == ["someone", None, None, "someone"]
    assert batch["landmarks"].shape == (8, 21, 3)
    assert batch["landmarks"][1].isnan().all()


def test_images_of_their_own_sizes_come_as_a_list(train):
    (batch, *_) = train.torch(8)
    assert [tuple(image.shape) for image in batch["image"]] == [(3, 20 + n % 7, 20 + n % 5) for n in range(8)]


def test_a_batch_of_windows(root):
    windows = pgc_data.load(root, "windows").split("train")
    batch = next(iter(windows.torch(8)))
    assert (batch["features"].shape, batch["features"].dtype) == ((8, 4, 3), torch.float32)
    assert batch["features"][:, 0, 0].tolist() == list(range(8))
    assert (batch["usable"].dtype, batch["usable"][1].tolist()) == (torch.bool, [True, True, False, False])
    with pytest.raises(ConfigError, match="size and cached are for crops"):
        windows.torch(8, size=SIZE)


@pytest.mark.parametrize("threads", [0, 1, 3])
@pytest.mark.parametrize("cached", [False, True])
@pytest.mark.parametrize("workers", [0, 2])
def test_every_row_comes_once(train, threads, cached, workers):
    batches = train.torch(16, size=SIZE, shuffle=True, threads=threads, cached=cached)
    first, second = (numbers(batches.loader(workers)) for _ in range(2))
    assert len(first) == len(batches) == len(batches.loader(workers)) == 6
    assert flat(first) == flat(second) == list(range(95))
    assert first != second


@pytest.mark.parametrize("workers", [0, 2, 3])
@pytest.mark.parametrize("cached", [False, True])
def test_unshuffled_rows_come_in_order(train, workers, cached):
    found = numbers(train.torch(16, size=SIZE, cached=cached).loader(workers))
    assert [n for batch in found for n in batch] == list(range(95))


@pytest.mark.parametrize("cached", [False, True])
def test_the_order_is_that_of_the_seed_and_the_epoch(train, cached):
    def epochs(seed, threads):
        batches = train.torch(16, size=SIZE, shuffle=True, seed=seed, cached=cached, threads=threads)
        return [numbers(batches) for _ in range(2)]

    assert epochs(0, 0) == epochs(0, 3)
    assert epochs(0, 0) != epochs(1, 0)
    batches = train.torch(16, size=SIZE, shuffle=True, cached=cached)
    batches.set_epoch(1)
    assert numbers(batches) == epochs(0, 0)[1]


def test_a_pass_that_was_left_is_followed_by_the_next_epoch(train):
    batches = train.torch(16, size=SIZE, shuffle=True)
    first = numbers([next(iter(batches))])
    again = numbers([next(iter(batches))])
    assert first != again
    batches.set_epoch(0)
    assert numbers([next(iter(batches))]) == first


@pytest.mark.parametrize("cached", [False, True])
@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("shuffle", [False, True])
def test_a_pass_is_gone_on_with(train, cached, workers, shuffle):
    def made():
        batches = train.torch(
            16, size=SIZE, shuffle=shuffle, cached=cached, buffer_groups=3, columns=["frame"]
        )
        return batches.loader(workers)

    whole = made()
    epochs = [numbers(whole) for _ in range(3)]
    for stop in (0, 1, 4, 6):
        loader = made()
        loader.set_epoch(1)
        passing = iter(loader)
        assert numbers(next(passing) for _ in range(stop)) == epochs[1][:stop]
        state = pickle.loads(pickle.dumps(loader.state_dict()))
        other = made()
        other.load_state_dict(state)
        assert other.state_dict() == state
        other.set_epoch(1)
        assert numbers(other) == epochs[1][stop:]
        assert numbers(other) == epochs[2]


def test_after_an_epoch_the_state_is_the_beginning_of_the_next(train):
    batches = train.torch(16, size=SIZE, shuffle=True)
    numbers(batches)
    state = batches.state_dict()
    assert (state["epoch"], state["batch"]) == (1, 0)
    other = train.torch(16, size=SIZE, shuffle=True)
    other.load_state_dict(state)
    assert numbers(other) == numbers(batches)


def test_what_is_skipped_is_not_decoded(train, monkeypatch):
    from pgc_data.loaders import sources

    batches = train.torch(16, size=SIZE, shuffle=True, threads=0)
    batches.load_state_dict({**batches.state_dict(), "batch": 5})
    decoded = []
    monkeypatch.setattr(sources, "decode_image", lambda *what: decoded.append(what))
    assert sum(len(batch["class_id"]) for batch in batches) == len(decoded) == 95 - 5 * 16


@pytest.mark.parametrize(
    ("other", "workers", "name"),
    [
        ({"seed": 1}, 2, "seed"),
        ({"batch_size": 8}, 2, "batch_size"),
        ({"rank": 1, "world_size": 2}, 2, "rank"),
        ({"buffer_groups": 2}, 2, "buffer_groups"),
        ({"cached": True}, 2, "workers"),
        ({}, 3, "workers is 2 there, and 3 here"),
    ],
)
def test_a_state_of_other_batches_is_refused(train, other, workers, name):
    state = train.torch(16, size=SIZE, shuffle=True).loader(2).state_dict()
    batches = train.torch(**{"batch_size": 16, "size": SIZE, "shuffle": True, **other})
    with pytest.raises(ConfigError, match=f"the state is of other batches: {name}"):
        batches.loader(workers).load_state_dict(state)


def test_a_state_of_other_data_is_refused(root, tmp_path, train):
    state = train.torch(16, size=SIZE).state_dict()
    data = pgc_data.load(root)
    others = [
        pgc_data.load(write_dataset(tmp_path / "d", files=2, fingerprint="g")).split("train"),
        data.split("val"),
    ]
    for other in others:
        with pytest.raises(ConfigError, match="data is"):
            other.torch(16, size=SIZE).load_state_dict(state)


def test_the_number_of_workers_may_change_where_the_order_does_not_go_by_it(train):
    for options in ({"shuffle": False}, {"shuffle": True, "cached": True}):
        batches = train.torch(16, size=SIZE, **options)
        expected = numbers(batches)
        batches.set_epoch(0)
        state = {**batches.loader(2).state_dict(), "batch": 2}
        other = train.torch(16, size=SIZE, **options).loader(3)
        other.load_state_dict(state)
        assert numbers(other) == expected[2:]


@pytest.mark.parametrize("cached", [False, True])
def test_ranks_share_out_the_rows(train, cached):
    def rank(number, drop_last):
        options = {"size": SIZE, "shuffle": True, "cached": cached, "drop_last": drop_last}
        return numbers(train.torch(8, rank=number, world_size=3, **options).loader(2))

    assert flat(batch for number in range(3) for batch in rank(number, False)) == list(range(95))
    dropped = [rank(number, True) for number in range(3)]
    assert [len(batches) for batches in dropped] == [3, 3, 3]
    assert len(set(flat(batch for batches in dropped for batch in batches))) == 72
    with pytest.raises(ConfigError, match="95 rows give no batch of 64 to each of 3 ranks"):
        train.torch(64, drop_last=True, rank=0, world_size=3)
    with pytest.raises(ConfigError, match="both rank and world_size"):
        train.torch(64, rank=0)


def test_ranks_come_from_torch_distributed(train, monkeypatch):
    early = train.torch(8, size=SIZE)
    monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.distributed, "get_rank", lambda: 1)
    monkeypatch.setattr(torch.distributed, "get_world_size", lambda: 2)
    assert flat(numbers(train.torch(8, size=SIZE))) == list(range(47, 95))
    assert flat(numbers(train.torch(8, size=SIZE, rank=0, world_size=1))) == list(range(95))
    with pytest.raises(ConfigError, match="rank 0 of 1, this is rank 1 of 2"):
        next(iter(early))


def test_an_iterator_that_is_not_used_is_no_pass(train):
    for loader in (train.torch(16, size=SIZE, shuffle=True).loader(n) for n in (0, 2)):
        iter(loader)
        assert numbers(loader) == numbers(train.torch(16, size=SIZE, shuffle=True).loader(loader._workers))
        iter(loader)
        assert loader.state_dict()["epoch"] == 1


@pytest.mark.parametrize("persistent", [False, True])
def test_a_plain_data_loader_is_told_the_epoch(train, persistent):
    batches = train.torch(16, size=SIZE, shuffle=True)
    loader = DataLoader(batches, batch_size=None, num_workers=2, persistent_workers=persistent)
    first = numbers(loader)
    batches.set_epoch(1)
    second = numbers(loader)
    batches.set_epoch(0)
    assert first != second
    assert numbers(loader) == first
    assert flat(second) == list(range(95))


def test_workers_may_outlive_a_pass(train):
    loader = train.torch(16, size=SIZE, shuffle=True).loader(2, persistent_workers=True)
    fresh = train.torch(16, size=SIZE, shuffle=True).loader(2)
    assert [numbers(loader) for _ in range(3)] == [numbers(fresh) for _ in range(3)]


@pytest.mark.parametrize("way", ["threads", "inline", "workers", "rows"])
def test_a_broken_image_is_named(tmp_path, way):
    rows = [crop_row(n, "val" if n < 5 else "train", b"broken" if n == 33 else None) for n in range(60)]
    write_file(tmp_path / "crops" / "dataset.parquet", "crops", rows)
    train = pgc_data.load(tmp_path).split("train")
    batches = train.torch(8, size=SIZE, threads=0 if way == "inline" else 2)
    if way == "workers":
        batches = batches.loader(2)
    if way == "rows":
        batches = DataLoader(train.torch(size=SIZE, map_style=True), batch_size=8)
    with pytest.raises(DataError) as caught:
        list(batches)
    message = str(caught.value)
    assert message.startswith(
        f"{tmp_path}/crops/dataset.parquet: the image of row 33 cannot be decoded: it is not an"
    )
    assert "\n" not in message


def test_columns_that_do_not_fit_are_refused(train):
    with pytest.raises(ConfigError, match="unknown column 'boxes'"):
        train.torch(8, columns=["boxes"])
    with pytest.raises(ConfigError, match="column 'image'"):
        train.torch(8, columns=["image"])


def test_rows_by_number_are_decoded_where_they_are_asked_for(train):
    with pytest.raises(ConfigError, match="threads are for batches"):
        train.torch(size=SIZE, map_style=True, threads=2)


@pytest.mark.parametrize("size", [(0, 16), (16, -1)])
def test_a_size_must_be_one(train, size):
    with pytest.raises(ConfigError, match="must be a height and a width"):
        train.torch(8, size=size)


@pytest.mark.parametrize("cached", [False, True])
def test_rows_by_number(train, cached):
    rows = train.torch(size=SIZE, map_style=True, cached=cached, columns=["label"])
    assert len(rows) == 95
    assert number_of(rows[40]["image"]) == number_of(rows[-55]["image"]) == 40
    assert (rows[41]["class_id"].item(), rows[41]["label"]) == (1, "pointing")
    assert [number_of(row["image"]) for row in rows.__getitems__([90, 3, 3, 50])] == [90, 3, 3, 50]
    for wrong in (95, -96):
        with pytest.raises(IndexError):
            rows[wrong]


@pytest.mark.parametrize("cached", [False, True])
@pytest.mark.parametrize("workers", [0, 2])
def test_rows_go_with_samplers(train, cached, workers):
    rows = train.torch(16, size=SIZE, map_style=True, shuffle=True, cached=cached, buffer_groups=3)
    rows[0]
    loader = DataLoader(rows, batch_size=16, sampler=RandomSampler(rows), num_workers=workers)
    assert flat(numbers(loader)) == list(range(95))
    sampler = rows.batch_sampler()
    loader = DataLoader(rows, batch_sampler=sampler, num_workers=workers)
    first, second = numbers(loader), numbers(loader)
    assert len(loader) == len(first) == 6
    assert flat(first) == flat(second) == list(range(95))
    assert first != second
    sampler.set_epoch(0)
    assert (
        numbers(loader)
        == first
        == numbers(train.torch(16, size=SIZE, shuffle=True, cached=cached, buffer_groups=3))
    )


@pytest.mark.parametrize("map_style", [False, True])
@pytest.mark.parametrize("cached", [False, True])
def test_what_goes_to_other_processes_is_small(train, map_style, cached):
    data = train.torch(16, size=SIZE, map_style=map_style, cached=cached)
    next(iter(data)) if not map_style else data[0]
    packed = pickle.dumps(data)
    assert len(packed) < 10_000
    again = pickle.loads(packed)
    assert number_of(again[3]["image"] if map_style else next(iter(again))["image"][3]) == 3


def test_only_few_row_groups_are_in_memory(train):
    reader = train.torch(4, size=SIZE, shuffle=True, buffer_groups=2)._source.open(5)
    for row in range(0, 95, 10):
        reader.pick(np.array([row]))
    assert len(reader._groups) == 5
    reader.close()


def test_the_buffer_is_smaller_for_large_row_groups(root):
    for table in ("crops", "windows"):
        split = pgc_data.load(root, table).split("train")
        assert split._buffer_groups() == 32
    from pgc_data.loaders import dataset

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dataset, "_BUFFER_BYTES", 1)
        assert split._buffer_groups() == 4


def test_without_torch_the_extra_is_named(train, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.delitem(sys.modules, "pgc_data.loaders.torch_batches", raising=False)
    import pgc_data.loaders

    monkeypatch.delattr(pgc_data.loaders, "torch_batches", raising=False)
    with pytest.raises(ConfigError, match=r"pip install 'pgc-data\[train\]'"):
        train.torch(8)


@pytest.mark.slow
def test_lightning_goes_on_in_the_middle_of_an_epoch(train, tmp_path):
    lightning = pytest.importorskip("lightning")

    plain = train.torch(16, size=SIZE, shuffle=True).loader(2)

    class Model(lightning.LightningModule):
        def __init__(self):
            super().__init__()
            self.scale = torch.nn.Parameter(torch.ones(()))
            self.seen = []

        def training_step(self, batch, _):
            self.seen.append([number_of(image) for image in batch["image"]])
            return self.scale * batch["image"].float().mean()

        def configure_optimizers(self):
            return torch.optim.SGD(self.parameters(), 0.1)

    def fit(resume=None):
        model = Model()
        saved = lightning.pytorch.callbacks.ModelCheckpoint(
            tmp_path, "{step}", every_n_train_steps=8, save_top_k=-1
        )
        trainer = lightning.Trainer(
            max_epochs=2, logger=False, enable_progress_bar=False, accelerator="cpu", callbacks=[saved],
            enable_model_summary=False, default_root_dir=tmp_path,
        )  # fmt: skip
        trainer.fit(model, train.torch(16, size=SIZE, shuffle=True).loader(2), ckpt_path=resume)
        return model.seen

    whole = fit()
    assert whole == [batch for _ in range(2) for batch in numbers(plain)]
    assert fit(tmp_path / "step=8.ckpt") == whole[8:]
