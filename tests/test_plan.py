"""The plan of a run: what it counts, and what it gives up where memory is short."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from styletransfer import Config, plan
from styletransfer.features import Network
from styletransfer.plan import make_plan, memory_needed, seconds_of_scales

CONFIG = Config(content_layers=("relu4_2",), size=1024)
SIZE = (768, 1024)


def with_memory(monkeypatch: pytest.MonkeyPatch, free: int) -> None:
    monkeypatch.setattr(plan.memory, "resident_memory", lambda: -plan.memory.OVERHEAD)
    monkeypatch.setattr(plan.memory, "available_memory", lambda device: free)


def test_with_room_nothing_is_given_up(network: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    with_memory(monkeypatch, 2**40)
    result = make_plan(network, CONFIG, SIZE)
    assert (result.tile, result.history, result.fits) == (0, CONFIG.history, True)
    monkeypatch.setattr(plan.memory, "available_memory", lambda device: None)
    assert make_plan(network, CONFIG, SIZE).tile == 0


@given(st.floats(0.02, 2.0))
def test_less_memory_means_smaller_tiles_and_a_shorter_history(network: Network, share: float) -> None:
    whole = memory_needed(network, CONFIG, SIZE, 0)
    with pytest.MonkeyPatch.context() as patch:
        with_memory(patch, int(share * whole))
        result = make_plan(network, CONFIG, SIZE)
        assert result.tile in plan.memory.TILES and result.history <= CONFIG.history
        if result.fits:
            used = memory_needed(network, replace(CONFIG, history=result.history), SIZE, result.tile)
            assert used == result.memory <= share * whole
        else:
            assert (result.tile, result.history) == (min(plan.memory.TILES[1:]), plan.memory.HISTORIES[-1])


def test_a_tile_that_was_asked_for_stays(network: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    with_memory(monkeypatch, 1)
    assert make_plan(network, replace(CONFIG, tile=300), SIZE).tile == 300


def test_with_tiles_the_maps_cost_the_same_at_every_size(network: Network) -> None:
    """Beyond the pictures and the content's activations, memory depends on the tile alone."""
    config = replace(CONFIG, optimizer="adam")
    parts = []
    for side in (1024, 2048):
        pictures = side * side * 3 * 8 * (2 + plan.memory.ADAM_PICTURES)
        targets = network.width("relu4_2") * (side // 8) ** 2 * 8
        for block in range(1, 5):  # the nearest neighbours at scales of the same size
            targets += network.width(f"relu{block + 1}_1") * (side >> block) ** 2 * 8
        parts.append(memory_needed(network, config, (side, side), 256) - pictures - targets)
    assert parts[0] == parts[1] > 0


def test_a_run_that_starts_from_a_finished_picture_keeps_its_nearest_neighbours(network: Network) -> None:
    config, blocks = replace(CONFIG, scales=(1.0,)), range(1, 5)
    extra = memory_needed(network, config, SIZE, 0, finished=True) - memory_needed(network, config, SIZE, 0)
    height, width = SIZE
    assert extra == sum(network.width(f"relu{b + 1}_1") * (height >> b) * (width >> b) * 8 for b in blocks)
    assert memory_needed(network, CONFIG, SIZE, 0, finished=True) == memory_needed(network, CONFIG, SIZE, 0)


def test_the_estimate_is_linear_in_steps_and_pixels(network: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    fixed = 0.0

    def seconds_of_step(network: Network, config: Config, size: tuple[int, int], matched: bool = False) -> float:
        return fixed + (2e-6 if matched else 1e-6) * size[0] * size[1]

    monkeypatch.setattr(plan.timing, "_seconds_of_step", seconds_of_step)
    monkeypatch.setattr(plan.timing, "_seconds_of_pass", lambda: 0.0)
    config = replace(CONFIG, optimizer="adam")

    def seconds(*scales: tuple[tuple[int, int], int], tile: int = 0) -> float:
        return sum(seconds_of_scales(network, config, scales, tile))

    one = seconds(((100, 100), 9))
    assert one == pytest.approx(10 * 1e-6 * 100 * 100)  # nine steps, and the targets
    assert seconds(((200, 200), 9)) == pytest.approx(4 * one)
    assert seconds(((100, 100), 9), ((200, 200), 9)) == pytest.approx(5 * one)
    assert seconds(((200, 200), 9), tile=64) > plan.timing.TILED_COST * 4 * one
    repeated = 2 * (9 + plan.timing.SEARCH) / 10
    assert seconds(((100, 100), 9), ((100, 100), 9)) == pytest.approx((1 + repeated) * one)
    matched = seconds_of_scales(network, config, [((100, 100), 9)], finished=True)
    assert matched == [pytest.approx(2 * (10 + plan.timing.SEARCH) / 10 * one)]
    fixed = 0.25  # of each evaluation, whatever its size
    assert seconds(((200, 200), 9)) == pytest.approx(10 * fixed + 4 * one)


def test_a_step_is_timed_once_for_settings_that_cost_the_same(
    network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    times = iter([1.0, 2.0, 4.0])
    monkeypatch.setattr(plan.timing, "_timed", {})
    monkeypatch.setattr(plan.timing, "typical", lambda run: next(times))
    timed = plan.timing._seconds_of_step
    assert timed(network, CONFIG, (32, 32)) == 1.0
    alike = replace(CONFIG, strength=80.0, seed=5, size=512, scales=(1.0,), iterations=(7,))
    assert timed(network, alike, (32, 32)) == 1.0
    assert timed(network, replace(CONFIG, style_statistic="moments"), (32, 32)) == 2.0
    assert timed(network, replace(CONFIG, strength=100.0), (32, 32)) == 4.0  # there is no content to compare with


def test_the_control_groups_limit_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = {
        "/sys/fs/cgroup/memory.max": "1000000000\n",
        "/sys/fs/cgroup/memory.current": "500000000\n",
        "/sys/fs/cgroup/memory.stat": "anon 9\ninactive_file 100000000\nactive_file 7\n",
        "/proc/meminfo": "MemAvailable: 8000000 kB\n",
        "/proc/self/status": "VmRSS:\t100000 kB\nVmSize:\t200000 kB\n",
    }
    monkeypatch.setattr(plan.system, "text_of", lambda path: texts.get(path, ""))
    assert plan.available_memory(torch.device("cpu")) == 600_000_000 + 100_000 * 1024
    texts["/sys/fs/cgroup/memory.max"] = "max\n"
    assert plan.available_memory(torch.device("cpu")) == (8_000_000 + 100_000) * 1024
