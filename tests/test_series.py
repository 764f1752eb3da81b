"""Several pictures one after the other: what each place has, what is kept of them, and what goes into the archive."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from small import _a_small_network, job, two_pictures  # noqa: F401

from styletransfer import StyleTransferError, load_image
from styletransfer.images import read_settings
from styletransfer.studio import frames
from styletransfer.studio import series as module
from styletransfer.studio.kept import Visit
from styletransfer.studio.series import Place, Series, drafts, pictures
from styletransfer.studio.task import NEXT_TURN


@pytest.fixture
def both(tmp_path: Path) -> tuple[str, str]:
    return two_pictures(tmp_path)


def place(content: str, style: str, **changes: Any) -> Place:
    return Place(job((content, style), **changes), Path(content).name)


def test_each_photograph_is_painted_as_alone_and_a_bad_file_spoils_nothing(
    both: tuple[str, str], tmp_path: Path
) -> None:
    (tmp_path / "letter.txt").write_text("no picture")
    content, style = both
    series, visit = Series([place(file, style) for file in (content, str(tmp_path / "letter.txt"), style)]), Visit()
    turns = [series.number for item in pictures(series, visit) if item is NEXT_TURN]
    assert turns == [0, 1, 2] and series.closed and series.progress == 1 and series.number == 2
    assert [bool(place.problem) for place in series.places] == [False, True, False]
    assert "'letter.txt' is no picture" in series.places[1].problem and series.places[1].file is None
    assert series.files == ["content-style-32.png", "style-style-32.png"]
    assert [kept.job for kept in visit.results] == [series.places[number].job for number in (0, 2)]
    for kept, name in zip(visit.results, series.files):
        *_, alone = frames.paint(kept.job)
        assert torch.equal(kept.raw, torch.from_numpy(alone.raw)) and kept.step is None
        file = Path(series.folder.name) / name
        assert read_settings(file) == read_settings(kept.file("png"))
        assert float((load_image(file) - kept.image()).abs().max()) < 0.51 / 255 + 1e-6
    visit.clear()


def test_the_archive_has_every_finished_picture_under_its_name(both: tuple[str, str]) -> None:
    series, visit = Series([place(*both, iterations="1, 1", strength=strength) for strength in (20, 80)]), Visit()
    with pytest.raises(StyleTransferError, match="no finished picture yet"):
        series.zip()
    painted = pictures(series, visit)
    while len(series.files) < 1:
        next(painted)
    with zipfile.ZipFile(series.zip()) as archive:
        assert archive.namelist() == ["content-style-32.png"]
    for _ in painted:
        pass
    with zipfile.ZipFile(series.zip()) as archive:
        assert archive.namelist() == ["content-style-32.png", "content-style-32-2.png"]
        for name, strength in zip(archive.namelist(), (20, 80)):
            with archive.open(name) as file:
                assert read_settings(file)["config"]["strength"] == strength
    visit.clear()


def test_pictures_can_be_added_until_the_last_is_painted(both: tuple[str, str]) -> None:
    series, visit = Series([place(*both, iterations="1, 1")]), Visit()
    painted = pictures(series, visit)
    next(painted)
    assert series.add([place(*both[::-1], iterations="1, 1")])
    for _ in painted:
        pass
    assert series.files == ["content-style-32.png", "style-content-32.png"]
    assert not series.add([place(*both)]) and len(series.places) == 2
    visit.clear()


def test_what_was_stopped_is_a_result_and_not_in_the_archive(both: tuple[str, str]) -> None:
    series, visit = Series([place(*both, iterations="200, 1"), place(*both)]), Visit()
    painted = pictures(series, visit)
    while not visit.results:
        next(painted)
    painted.close()
    assert visit.results[0].metadata["outcome"] == "stopped"
    assert series.files == [] and 0 < series.places[0].progress < 1 and series.places[1].progress == 0
    visit.clear()


def test_the_result_that_is_shown_stays_and_can_be_continued(both: tuple[str, str]) -> None:
    from styletransfer.studio.session import run

    visit = Visit()
    for _ in run(job(both), visit):
        pass
    shown = visit.current
    for _ in pictures(Series([place(*both[::-1])]), visit):
        pass
    assert len(visit.results) == 2 and visit.current is shown and shown is not None and shown.step is not None
    visit.clear()


def test_a_surprise_is_told_without_its_details(both: tuple[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any, **__: Any) -> Any:
        raise RuntimeError("/secret/path")

    monkeypatch.setattr(module, "run", broken)
    series = Series([place(*both)])
    for _ in pictures(series, Visit()):
        pass
    assert series.places[0].problem == "content.jpg: something went wrong here" and series.progress == 1


def test_a_draft_that_fails_fails_all(both: tuple[str, str], tmp_path: Path) -> None:
    with pytest.raises(StyleTransferError, match=r"none\.png"):
        list(drafts(Series([place(*both), place(both[0], str(tmp_path / "none.png"))])))


@pytest.mark.parametrize(
    ("content", "style", "name"),
    [
        ("/a/temple.jpg", "/b/night.jpg", "temple-night-512"),
        ("/a/My photo (2).jpeg", "/b/../é.png", "My-photo-2-é-512"),
        ("/a/???.jpg", "/b/" + "x" * 90 + ".png", "x" * 40 + "-512"),
    ],
)
def test_names_say_what_a_picture_is(content: str, style: str, name: str) -> None:
    assert job((content, style)).title(512) == name
