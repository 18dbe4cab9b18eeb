"""Results under tokens: who may have them, and for how long."""

from pathlib import Path

import pytest
import torch
from flat_scenes import analysis_of

from demo.api.store import Store
from demo.pipeline import Analysis
from depthpro import Prediction


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def result(name: str = "photo", side: int = 8) -> Analysis:
    prediction = Prediction(torch.ones(1, 4, 4), torch.tensor([8.0]), None, side, side)
    return analysis_of(prediction, name)


def names(store: Store, tokens: list[str]) -> list[str | None]:
    def name(token: str) -> str | None:
        try:
            return store.find(token).analysis.name
        except ValueError:
            return None

    return [name(token) for token in tokens]


def test_tokens_are_unlike_and_do_not_give_away_the_folder(tmp_path: Path) -> None:
    store = Store(root=tmp_path)
    tokens = [store.add(result()) for _ in range(20)]
    assert len(set(tokens)) == 20
    assert all(len(token) >= 43 for token in tokens)  # 32 random bytes, 6 bits a letter
    folders = {store.find(token).folder for token in tokens}
    assert len(folders) == 20
    assert not any(token in str(folder) for token in tokens for folder in folders)


@pytest.mark.parametrize("token", ["nobody's", "", None, 3, ["a"], {"a": 1}])
def test_unknown_tokens_are_refused_with_a_sentence(token: object, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"kept for 60 minutes.*Call estimate again"):
        Store(root=tmp_path).find(token)


def test_the_least_recently_used_goes_first(tmp_path: Path) -> None:
    store = Store(count=2, root=tmp_path)
    first, second = store.add(result("first")), store.add(result("second"))
    store.find(first)
    third = store.add(result("third"))
    assert names(store, [first, second, third]) == ["first", None, "third"]
    assert len(list(tmp_path.iterdir())) == 2


def test_age_counts_from_the_last_use(tmp_path: Path) -> None:
    clock = Clock()
    store = Store(age_s=100, root=tmp_path, clock=clock)
    token, other = store.add(result()), store.add(result())
    clock.now = 99
    store.find(token)
    clock.now = 150
    assert names(store, [token, other]) == ["photo", None]
    clock.now = 250
    store.delete_expired()  # though nobody asks
    assert list(tmp_path.iterdir()) == []


def test_photos_of_all_results_fit_in_memory(tmp_path: Path) -> None:
    # 100 x 100 x 3 bytes: two fit into 70,000.
    store = Store(max_bytes=70_000, root=tmp_path)
    tokens = [store.add(result(str(n), 100)) for n in range(3)]
    assert names(store, tokens) == [None, "1", "2"]


def test_files_go_with_the_result_but_not_while_somebody_holds_it(tmp_path: Path) -> None:
    store = Store(count=1, root=tmp_path)
    entry = store.find(store.add(result()))
    (entry.folder / "depth.npz").write_text("x")
    store.add(result())
    assert (entry.folder / "depth.npz").exists()  # somebody is writing to it
    folder = entry.folder
    del entry
    assert not folder.exists()
