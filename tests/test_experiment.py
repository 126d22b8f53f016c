"""Experiments: drums, rows, running them here, in processes and on a cluster, statistics, and what tables look like."""

import json
import multiprocessing
import os
import signal
import sys
from dataclasses import replace
from multiprocessing import forkserver
from pathlib import Path

import numpy as np
import pandas as pd
import psutil
import pytest
import soundfile
from takes import GAP_SECONDS, RATE, varied_strokes

from timbrekit.cli import main
from timbrekit.errors import OutputError, PresetError, RecordingError, TimbrekitError, TrainingError
from timbrekit.experiment import PLAYED, Plan, run, run_experiment, write_tables
from timbrekit.experiment.drums import Drum, find_drums
from timbrekit.experiment.measure import Measured, Source, measure_row
from timbrekit.experiment.plan import Job, all_groups
from timbrekit.experiment.results import FILE, add_records, read_models, record_of
from timbrekit.experiment.rows import ROWS, World, find_rows, played_rows
from timbrekit.experiment.statistics import paired, summarise, worse_features
from timbrekit.features import TIMBRE_FEATURES
from timbrekit.presets import load_preset, save_preset
from timbrekit.recording.hits import cut_windows, find_hits
from timbrekit.training.fast.train import Variant, train_many
from timbrekit.training.train import Trained

QUICK = {"presets": ("snare-1", "snare-3"), "epochs": 1, "iterations": 1}
COUNT = 8  # hits of each drum
ERRORS = {"preset": [2.0, 2.0], "direct": [0.5, 0.5], "mlp": [1.0, 2.0], "ours": [0.75, 1.25]}  # by seed
PAPER = ROWS["paper"]


def write_hits(folder: Path, count=COUNT, seed=0) -> None:
    """One file for each of some varied strokes, short ones, as data sets of single hits have them."""
    samples, gap = varied_strokes(count, seed=seed), round(GAP_SECONDS * RATE)
    folder.mkdir(parents=True)
    for number in range(count):
        start = gap // 2 + number * gap
        name = folder / f"hit {number:02}.wav"
        soundfile.write(name, samples[start - 100 : start + gap - 100], RATE, subtype="PCM_24")


@pytest.fixture(scope="module")
def drums(tmp_path_factory) -> Path:
    """A data set of two drums."""
    folder = tmp_path_factory.mktemp("data") / "drums"
    for number, name in enumerate(("dry_snare & brush", "wet snare")):
        write_hits(folder / name, seed=number)
    return folder


@pytest.fixture(scope="module")
def strokes() -> np.ndarray:
    return varied_strokes(12)


@pytest.fixture(scope="module")
def hits(strokes):
    return find_hits(strokes, RATE)


def plan_of(*paths, **changed) -> Plan:
    return Plan(tuple(map(str, paths)), **{**QUICK, **changed})


def test_each_folder_of_single_hits_is_a_drum(drums):
    assert [drum.name for drum in find_drums([drums])] == ["dry_snare & brush", "wet snare"]


def test_of_enough_single_hits_the_plugin_finds_them_all(tmp_path):
    write_hits(tmp_path / "drum", 16)  # of fewer than ten no settings are suggested
    (drum,) = find_drums([tmp_path])
    prepared = drum.prepare()
    assert len(prepared.hits) == 16
    assert (prepared.hits.lengths == RATE).all()  # each may ring for a whole second


def test_single_hits_come_in_the_order_of_their_names(tmp_path):
    write_hits(tmp_path / "drum")
    softer = soundfile.read(tmp_path / "drum" / "hit 00.wav")[0] / 2
    soundfile.write(tmp_path / "drum" / "hit 00.wav", softer, RATE, subtype="PCM_24")
    (tmp_path / "drum" / "hit 00.wav").rename(tmp_path / "drum" / "zz.wav")
    recording = find_drums([tmp_path / "drum"])[0].prepare().recording
    last = recording.samples[-round(1.1 * RATE) :][: len(softer)]
    assert np.allclose(last, softer, atol=1e-6)


def test_a_recording_and_the_folder_of_one_drum_are_drums_too(drums, tmp_path):
    soundfile.write(tmp_path / "take 1.wav", varied_strokes(), RATE)
    names = [drum.name for drum in find_drums([tmp_path / "take 1.wav", drums / "wet snare"])]
    assert names == ["take 1", "wet snare"]


def test_folders_within_folders_are_told_apart_and_hidden_ones_passed_over(tmp_path):
    for name in ("maple/near", "birch/near", ".cache/near"):
        write_hits(tmp_path / name, 1)
    assert [drum.name for drum in find_drums([tmp_path])] == ["birch/near", "maple/near"]


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (lambda folder: None, "no recording or folder"),
        (lambda folder: folder.mkdir(), "no sound file"),
        (
            lambda folder: (write_hits(folder / "full"), (folder / "empty").mkdir()),
            "empty holds no sound",
        ),
    ],
)
def test_what_holds_no_hits_is_named(tmp_path, made, words):
    made(tmp_path / "drums")
    with pytest.raises(RecordingError, match=words):
        find_drums([tmp_path / "drums"])


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"no sound", "hit 03.wav"), (b"", "hit 03.wav"), (None, '"hit 03.wav" is empty')],
)
def test_a_file_that_cannot_be_read_is_named_with_its_drum(tmp_path, content, words):
    write_hits(tmp_path / "drum")
    file = tmp_path / "drum" / "hit 03.wav"
    file.write_bytes(content) if content is not None else soundfile.write(file, np.zeros(0), RATE)
    with pytest.raises(RecordingError, match=words) as caught:
        find_drums([tmp_path / "drum"])[0].prepare()
    assert "In the drum drum" in str(caught.value)


def test_too_few_hits_are_an_error(tmp_path):
    write_hits(tmp_path / "drum", 3)
    with pytest.raises(RecordingError, match=r"Only 3 hits were found in drum, .* at least 5"):
        find_drums([tmp_path / "drum"])[0].prepare()


def test_two_drums_of_one_name_are_an_error(drums, tmp_path):
    write_hits(tmp_path / "wet snare", 1)
    with pytest.raises(RecordingError, match="Two drums are called wet snare"):
        find_drums([drums, tmp_path / "wet snare"])


def test_the_papers_recipe_is_published_but_for_the_world():
    settings = World("published").settings(PAPER["mlp"])
    assert (settings.recipe, settings.epochs, settings.learning_rate) == ("published", 250, 5e-4)
    assert settings.centred and settings.plateau and not settings.balanced and not settings.warm_start
    assert World().settings(PAPER["linear-2048"]).learning_rate == 5e-3


def test_one_row_trains_as_published_in_either_world():
    for world in ("published", "gated"):
        settings = World(world).settings(PAPER["mlp-as-published"])
        assert not settings.fresh_noise and settings.features == world


@pytest.mark.parametrize("row", ["mlp", "ours"])
@pytest.mark.parametrize("world", ["published", "gated"])
def test_training_and_measuring_share_a_world(row, world):
    settings = World(world).settings(PAPER[row])
    assert settings.features == world and settings.fresh_noise == (world == "gated")
    assert World(world).features(RATE).gated == (world == "gated")


def test_rows_come_in_the_tables_order_and_unknown_ones_are_named():
    assert [row.key for row in find_rows(("ours", "direct"))] == ["direct", "ours"]
    with pytest.raises(TrainingError, match="no row 'mpl'"):
        find_rows(("mlp", "mpl"))


def test_longer_windows_begin_where_the_plugins_begin_and_end_in_silence(strokes, hits):
    windows = cut_windows(strokes[: hits.triggers[-1] + 100], hits.triggers, 2048)
    assert windows.shape == (12, 2048)
    assert (windows[:, :256] == hits.windows).all()
    start = hits.triggers[3] - 255
    assert (windows[3] == strokes[start : start + 2048]).all()
    assert (windows[-1, 256 + 100 :] == 0).all()


def test_all_rows_are_measured_on_the_same_hits_and_another_seed_on_others(strokes, hits):
    source = Source(hits, strokes, World("gated"))
    variants = [Variant(load_preset("snare-1"), seed) for seed in (0, 2)]
    unchanged = measure_row(source, PAPER["preset"], variants)
    assert unchanged[0].error_ratio == 1 and (unchanged[0].played == 0).all()
    assert not np.array_equal(unchanged[0].intended, unchanged[1].intended)
    for key in ("direct", "linear-2048"):
        for theirs, ours in zip(measure_row(source, PAPER[key], variants, 1, 1), unchanged, strict=True):
            assert theirs.test_hits == len(ours.intended) == 1
            assert (theirs.intended == ours.intended).all()
            assert len(theirs.heard) == len(theirs.played)


def test_a_world_decides_what_the_hits_are_measured_by(strokes, hits):
    intended = {name: Source(hits, strokes, World(name)).take().intended for name in ("gated", "published")}
    assert not np.allclose(intended["gated"], intended["published"], atol=0.5)


def test_a_half_trained_model_is_not_measured(strokes, hits, monkeypatch):
    def interrupted(*arguments) -> list[Trained]:
        return [replace(trained, interrupted=True) for trained in train_many(*arguments)]

    monkeypatch.setattr("timbrekit.experiment.measure.train_many", interrupted)
    with pytest.raises(KeyboardInterrupt):
        measure_row(Source(hits, strokes, World()), PAPER["linear"], [Variant(load_preset("snare-1"))], 1)


def test_following_is_told_by_loudness_onset_and_brightness(drums):
    intended = np.zeros((5, 7), np.float32)
    intended[:, 0], intended[:, 2] = [1, 2, 3, 4, 5], [5, 1, 4, 2, 3]
    played = intended * 0.5
    played[:, 2] *= -1
    measured = Measured(played, intended, "held out", 5, heard=np.array([1, 2, 3, 5, 4], np.float32))
    record = record_of(plan_of(drums), Job("drum", "mlp", "snare-1", 0), 20, measured)
    follows = [
        record[name] for name in ("rank loudness transient", "follows_onset", "rank centroid transient")
    ]
    assert follows == pytest.approx([1.0, 0.9, -1.0])


def test_every_model_is_in_exactly_one_group_but_those_that_are_done(drums):
    plan = plan_of(drums, seeds=3, batch=4)
    jobs = [job for group in all_groups(plan) for job in group.jobs]
    assert len(jobs) == len(set(jobs)) == 2 * len(PAPER) * 2 * 3
    left = all_groups(plan, set(jobs[5:]))
    assert [job for group in left for job in group.jobs] == jobs[:5]
    for group in all_groups(plan):
        assert len(group.jobs) <= 4
        assert {(job.drum, job.row) for job in group.jobs} == {(group.drum.name, group.row.key)}


def test_seeds_start_where_asked_but_those_of_bounds(drums):
    groups = all_groups(plan_of(drums, seeds=2, first_seed=5))
    assert {job.seed for group in groups for job in group.jobs} == {5, 6}
    plan = Plan((str(drums),), **{**PLAYED, "seeds": 2, "first_seed": 5})
    seeds = {(group.row.key, job.seed) for group in all_groups(plan) for job in group.jobs}
    recipes = {(recipe, seed) for recipe in ("timbrekit", "published") for seed in (5, 6)}
    assert seeds == recipes | {("loudness alone", 0), ("direct", 0), ("onset information", 0)}


def test_two_presets_of_one_name_are_an_error(drums, tmp_path):
    other = save_preset(load_preset("snare-2"), tmp_path / "snare-1.json")
    with pytest.raises(PresetError, match="Two presets are called snare-1"):
        all_groups(plan_of(drums, presets=("snare-1", str(other))))


def plan_of_six(drums) -> Plan:
    """Without ``direct``: torch's optimisers, on first use, load as much again as torch, in every process."""
    return plan_of(drums / "wet snare", rows=("preset", "mlp", "linear"), batch=1)


@pytest.fixture(scope="module")
def alone(drums, tmp_path_factory) -> Path:
    """A small table, made in this process."""
    return run_experiment(plan_of_six(drums), tmp_path_factory.mktemp("alone")).parent


def assert_same_table(one: Path, other: Path) -> None:
    assert {path.name for path in one.iterdir()} == {FILE, "results.md", "results.csv", "results.tex"}
    assert {path.name for path in other.iterdir()} == {path.name for path in one.iterdir()}
    keys = ["drum", "row", "preset", "seed"]
    these, those = (read_models(folder).drop(columns="seconds").sort_values(keys) for folder in (one, other))
    pd.testing.assert_frame_equal(these.reset_index(drop=True), those.reset_index(drop=True), rtol=1e-5)
    assert (one / "results.md").read_text("utf-8") == (other / "results.md").read_text("utf-8")


@pytest.fixture
def forked_cluster():
    """Workers of a local cluster start from a process that has loaded torch and the like: that takes seconds each."""
    dask = pytest.importorskip("dask")
    pytest.importorskip("distributed")
    if not hasattr(os, "fork"):
        yield
        return
    loaded = ["distributed.nanny", "pandas", "scipy.signal", "scipy.stats", "torch"]
    multiprocessing.set_forkserver_preload(loaded)
    forkserver.ensure_running()
    with dask.config.set({"distributed.worker.multiprocessing-method": "forkserver"}):
        yield
    forkserver._forkserver._stop()  # there is no public way, and otherwise it lasts to the end of the tests
    multiprocessing.set_forkserver_preload(["__main__"])


@pytest.mark.usefixtures("forked_cluster")
def test_two_workers_of_a_cluster_make_the_same_table_as_one_process_though_one_is_killed(
    drums, tmp_path, alone
):
    distributed = pytest.importorskip("dask.distributed")
    killed = []
    with distributed.LocalCluster(2, threads_per_worker=1, dashboard_address=None) as cluster:
        with distributed.Client(cluster) as client:
            pids = list(client.run(os.getpid).values())

        def kill_one(words: str) -> None:
            if "3 to come" in words:
                killed.append(pids[0])
                os.kill(pids[0], signal.SIGKILL)

        run_experiment(plan_of_six(drums), tmp_path, scheduler=cluster.scheduler_address, say=kill_one)
        with distributed.Client(cluster) as client:
            client.wait_for_workers(1)
            left = set(client.run(os.getpid).values())
    assert len(set(pids)) == 2 and os.getpid() not in pids
    assert killed and not left & set(killed)
    assert_same_table(alone, tmp_path)


def test_a_killed_process_is_named_and_the_rest_is_done_by_the_next_run(drums, tmp_path, alone):
    def kill_one(words: str) -> None:
        if "5 to come" in words:
            workers = [each for each in psutil.Process().children() if "LokyProcess" in str(each.cmdline())]
            workers[0].kill()

    plan = plan_of_six(drums)
    with pytest.raises(TrainingError, match=r"was killed, .* the same command goes on"):
        run_experiment(plan, tmp_path, jobs=2, say=kill_one)
    kept = len(read_models(tmp_path))
    assert 1 <= kept < 6
    said: list[str] = []
    run_experiment(plan, tmp_path, say=said.append)
    assert sum("1 done" in words for words in said) == 6 - kept
    assert_same_table(alone, tmp_path)


def test_a_cluster_that_is_none_is_said_in_one_sentence(drums, tmp_path, monkeypatch):
    dask = pytest.importorskip("dask")
    with dask.config.set({"distributed.comm.timeouts.connect": "100ms"}):
        for address in ("tcp://127.0.0.1:9", "nonsense://"):
            with pytest.raises(TrainingError, match=f"No Dask scheduler answers at {address}"):
                run_experiment(plan_of(drums), tmp_path, scheduler=address)
    monkeypatch.setitem(sys.modules, "dask.distributed", None)
    with pytest.raises(TrainingError, match=r"pip install .timbrekit\[cluster\]"):
        run_experiment(plan_of(drums), tmp_path, scheduler="tcp://127.0.0.1:9")


@pytest.fixture(scope="module")
def prepared(drums):
    return find_drums([drums / "wet snare"])[0].prepare()


@pytest.fixture
def trained(monkeypatch, prepared):
    """What a fake training was asked for."""
    trained: list[tuple[str, str]] = []

    def measure(source, row, variants, *rest):
        trained.extend((row.key, variant.preset.name) for variant in variants)
        return [some_measured() for _ in variants]

    monkeypatch.setattr(run, "measure_row", measure)
    monkeypatch.setattr(Drum, "prepare", lambda drum: prepared)
    return trained


def test_what_is_done_is_not_done_again(drums, tmp_path, trained):
    run_experiment(plan_of(drums / "wet snare", rows=("preset", "linear")), tmp_path)
    assert len(trained) == 4
    run_experiment(plan_of(drums / "wet snare", rows=("preset", "linear", "mlp"), batch=1), tmp_path)
    assert trained[4:] == [("mlp", "snare-1"), ("mlp", "snare-3")]


def test_a_stopped_experiment_keeps_the_groups_that_it_finished(drums, tmp_path, trained, monkeypatch):
    counted = run.measure_row

    def stopped(source, row, *rest):
        if trained:
            raise KeyboardInterrupt
        return counted(source, row, *rest)

    plan = plan_of(drums / "wet snare", rows=("preset", "linear"))
    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(run, "measure_row", stopped)
        run_experiment(plan, tmp_path)
    assert list(read_models(tmp_path)["row"]) == ["preset", "preset"]
    run_experiment(plan, tmp_path)
    assert len(trained) == 4


def test_a_drum_of_which_nothing_can_be_made_is_known_before_any_model_is_trained(drums, tmp_path):
    write_hits(tmp_path / "z", 3)
    said: list[str] = []
    with pytest.raises(RecordingError, match="Only 3 hits were found in z"):
        run_experiment(plan_of(drums / "wet snare", tmp_path / "z"), tmp_path / "out", say=said.append)
    assert said == [f"wet snare: {COUNT} files, {COUNT} hits found"]


def test_results_of_other_settings_are_not_mixed_in(drums, tmp_path, trained):
    run_experiment(plan_of(drums / "wet snare", rows=("linear",)), tmp_path)
    for changed in ({"epochs": 2}, {"features": "gated"}, {"split": "another"}):
        with pytest.raises(OutputError, match="other settings"):
            run_experiment(plan_of(drums / "wet snare", rows=("linear",), **changed), tmp_path)
    assert len(trained) == 2
    run_experiment(plan_of(drums / "wet snare", rows=("linear", "preset"), iterations=3), tmp_path)
    assert len(trained) == 4  # the search is none of a linear mapping's settings


def test_a_second_run_in_the_folder_loses_nothing_of_the_first(drums, tmp_path, trained):
    lines = records_of({"mlp": [1.0, 2.0]})
    add_records(tmp_path, lines[:1])
    add_records(tmp_path, lines[1:])
    add_records(tmp_path, lines[:1])
    assert list(read_models(tmp_path)["seed"]) == [0, 1]


@pytest.mark.parametrize("content", ["what,else\n1,2\n", "", "\0\xff", None])
def test_a_foreign_file_is_left_alone(drums, tmp_path, trained, content):
    if content is None:  # a number that is none
        add_records(tmp_path, records_of({"mlp": [1.0]}))
        content = (tmp_path / FILE).read_text("utf-8").replace(",20,", ",many,")
    (tmp_path / FILE).write_text(content, encoding="utf-8")
    with pytest.raises(OutputError, match=f"{FILE} does not hold results"):
        run_experiment(plan_of(drums / "wet snare"), tmp_path)
    assert (tmp_path / FILE).read_text(encoding="utf-8") == content


@pytest.mark.parametrize(
    ("name", "head"),
    [
        ("results-2-of-8.csv", "drum,row,preset,seed,features,recipe,epochs"),
        ("results.csv", "recording,preset,what,seed,situation"),
    ],
)
def test_results_of_older_versions_are_named_and_kept(drums, tmp_path, trained, name, head):
    (tmp_path / name).write_text(f"{head}\n", encoding="utf-8")
    for refused in (lambda: run_experiment(plan_of(drums), tmp_path), lambda: write_tables(tmp_path)):
        with pytest.raises(OutputError, match=rf"{name} holds results of timbrekit 0\.x"):
            refused()
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_numbers_and_names_are_read_as_they_were_written(tmp_path):
    records = [{**record, "drum": name} for name in ("NA", "0", 'a,"b') for record in records_of(ERRORS)]
    add_records(tmp_path, records)
    models = read_models(tmp_path)
    assert set(models["drum"]) == {"NA", "0", 'a,"b'}
    for column in ("seed", "hits", "error_ratio", "error loudness sustain"):
        assert models[column].tolist() == [record[column] for record in records]


def some_measured(error=1.0) -> Measured:
    intended = np.full((2, 7), 2.0, np.float32)
    heard = np.zeros(2, np.float32)
    return Measured(intended - np.float32(error), intended, "held out", 2, 1, 0.5, heard)


def records_of(errors: dict[str, list[float]], drum="drum") -> list[dict]:
    """Made-up results: for each row the error of each of some seeds, the same in all features."""
    return [
        record_of(Plan((drum,)), Job(drum, row, "snare-1", seed), 20, some_measured(error))
        for row, each in errors.items()
        for seed, error in enumerate(each)
    ]


def lines_of(errors: dict[str, list[float]]) -> dict[str, dict]:
    return summarise(pd.DataFrame(records_of(errors))).set_index("row").to_dict("index")


def test_differences_are_paired_and_have_their_standard_error():
    lines = lines_of(ERRORS)
    differences = np.array([0.75 - 1.0, 1.25 - 2.0]) / 2  # ratios to the preset's error of 2
    assert lines["ours"]["pairs"] == 2
    assert lines["ours"]["difference_to_mlp"] == pytest.approx(differences.mean(), rel=1e-5)
    assert lines["ours"]["standard_error"] == pytest.approx(differences.std(ddof=1) / np.sqrt(2), rel=1e-5)
    assert lines["mlp"]["pairs"] == 0 and np.isnan(lines["mlp"]["difference_to_mlp"])
    gaps = {key: line["distance_left"] for key, line in lines.items()}
    assert gaps == pytest.approx({"preset": 1.5, "direct": 0.0, "mlp": 1.0, "ours": 0.5}, rel=1e-5, abs=1e-9)


def test_only_what_both_have_is_paired():
    lines = lines_of({"mlp": [1.0], "ours": [0.5, 9.0]})
    assert lines["ours"]["pairs"] == 1
    assert lines["ours"]["difference_to_mlp"] == pytest.approx(-0.25, rel=1e-5)
    assert np.isnan(lines["ours"]["standard_error"]) and np.isnan(lines["ours"]["distance_left"])


def test_errors_are_pooled_over_all_hits():
    line = lines_of({"mlp": [1.0, 3.0]})["mlp"]
    for name in TIMBRE_FEATURES:
        assert (line[f"error {name}"], line[f"spread {name}"]) == pytest.approx((2.0, 1.0))
    assert line["models"] == 2


def test_models_of_more_hits_weigh_more_in_the_pooled_errors():
    records = records_of({"mlp": [1.0, 3.0]})
    records[0]["test_hits"] = 6
    line = summarise(pd.DataFrame(records)).iloc[0]
    errors = np.array([1.0] * 6 + [3.0] * 2)
    assert line["error temporal centroid"] == pytest.approx(errors.mean())
    assert line["spread temporal centroid"] == pytest.approx(errors.std())


def test_a_feature_is_worse_only_beyond_its_standard_error():
    models = pd.DataFrame(records_of({"mlp": [1.0, 1.0, 1.0], "ours": [1.0, 1.0, 1.0]}))
    models.loc[3:, "error centroid sustain"] += [0.3, 0.2, 0.4]
    models.loc[3:, "error flatness transient"] += [-1.0, 0.9, 0.4]  # a tenth more, give or take half
    worse = worse_features(models, PAPER["ours"], PAPER["mlp"])
    assert list(worse) == ["centroid sustain"]
    assert worse["centroid sustain"].mean() == pytest.approx(0.3)
    assert worse_features(models, PAPER["ours"], PAPER["mlp-large"]) is None
    assert not len(paired(models, PAPER["ours"], PAPER["mlp-large"]))


def test_they_hold_what_was_measured(tmp_path):
    add_records(tmp_path, records_of(ERRORS))
    text = write_tables(tmp_path).read_text(encoding="utf-8")
    assert "| MLP | 1.50 ± 0.50 |" in text and "| timbrekit | -0.250 ± 0.125 | 2 | 0.50 |" in text
    assert "timbrekit is worse than MLP by more than a standard error: in no feature." in text
    lines = pd.read_csv(tmp_path / "results.csv").set_index("row")
    assert list(lines.index) == ["preset", "direct", "mlp", "ours"]
    for column in ("mean_ratio", "distance_left"):
        assert lines.loc["ours", column] == pytest.approx(0.5, rel=1e-5)
    assert all(lines.loc["mlp", f"error {name}"] == 1.5 for name in TIMBRE_FEATURES)


def test_names_of_drums_do_no_harm(tmp_path):
    add_records(tmp_path, records_of({"mlp": [1.0]}, drum=r"a|b_c & 50% \d{e}#1$^~"))
    write_tables(tmp_path)
    tex = (tmp_path / "results.tex").read_text(encoding="utf-8")
    escaped = r"a|b\_c \& 50\% \textbackslash d\{e\}\#1\$\textasciicircum \textasciitilde"
    assert f"\n{escaped}  & 0.50 \\\\\n" in tex
    assert tex.count(r"\begin{table}") == tex.count(r"\end{table}") == 5
    assert tex.count(r"\toprule") == tex.count(r"\midrule") == tex.count(r"\bottomrule") == 5
    head = next(line for line in tex.splitlines() if "temporal centroid" in line)
    row = next(line for line in tex.splitlines() if line.startswith("MLP & 1"))
    assert head.count(" & ") == row.count(" & ") == 9
    assert r"a\|b\_c & 50%" in (tmp_path / "results.md").read_text(encoding="utf-8")


def test_latex_gets_its_own_signs(tmp_path):
    add_records(tmp_path, records_of(ERRORS))
    write_tables(tmp_path)
    tex = (tmp_path / "results.tex").read_text(encoding="utf-8")
    assert r"timbrekit & $-0.250$ $\pm$ 0.125 & 2 & 0.50 \\" in tex and r"MLP & -- & -- & 1.00 \\" in tex
    assert tex.isascii()


def test_what_is_missing_is_said(tmp_path):
    add_records(tmp_path, records_of({"mlp": [1.0, 1.0], "ours": [1.0]}))
    assert "of 2 models each there are timbrekit 1." in write_tables(tmp_path).read_text(encoding="utf-8")


def test_results_that_do_not_belong_together_make_no_table(tmp_path):
    with pytest.raises(OutputError, match="no results"):
        write_tables(tmp_path)
    records = records_of({"mlp": [1.0, 1.0]})
    for number, (changed, words) in enumerate(
        (({"recipe": "other"}, "do not belong together"), ({"table": "played"}, "do not belong together"))
    ):
        add_records(tmp_path / str(number), [records[0], {**records[1], **changed}])
        with pytest.raises(OutputError, match=words):
            write_tables(tmp_path / str(number))
    add_records(tmp_path / "strange", [{**records[0], "row": "forest"}])
    with pytest.raises(OutputError, match="no row forest"):
        write_tables(tmp_path / "strange")
    assert not list(tmp_path.rglob("results.md"))


def test_the_table_from_the_command_line_and_again_from_its_models(drums, tmp_path, capsys):
    arguments = ["experiment", str(drums / "wet snare"), "--out", str(tmp_path), "--json"]
    arguments += ["--rows", "preset,linear", "--presets", "snare-1", "--epochs", "1", "--features", "gated"]
    assert main([*arguments, "--first-seed", "3"]) == 0
    written = {"results": str(tmp_path / FILE), "table": str(tmp_path / "results.md")}
    assert json.loads(capsys.readouterr().out) == written
    models = read_models(tmp_path)
    assert set(models["features"]) == {"gated"} and set(models["seed"]) == {3}
    text = (tmp_path / "results.md").read_text(encoding="utf-8")
    (tmp_path / "results.md").unlink()
    assert main(["experiment", "--merge", str(tmp_path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {**written, "results": str(tmp_path / "results.csv")}
    assert (tmp_path / "results.md").read_text(encoding="utf-8") == text and "| Linear |" in text


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "--out"),
        (["x.wav"], "--out"),
        (["x.wav", "--out", "y", "--models", "mlp"], "--models belongs to --table played"),
        (["x.wav", "--out", "y", "--table", "played", "--rows", "mlp"], "--rows belongs to --table paper"),
        (["x.wav", "--merge", "y"], "no meaning with --merge"),
        (["--merge", "y", "--first-seed", "0"], "--first-seed has no meaning with --merge"),
        (["x.wav", "--out", "y", "--shard", "1/2"], "no shards any more: --jobs N takes N processes"),
        (
            ["x.wav", "--out", "y", "--jobs", "2", "--scheduler", "z:1"],
            "--jobs has no meaning with --scheduler",
        ),
        (["--merge", "y", "--jobs", "2"], "--jobs has no meaning with --merge"),
        (["x.wav", "--out", "y"], "no recording or folder x.wav"),
    ],
)
def test_what_cannot_be_meant_is_said_in_one_line(arguments, words, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["experiment", *arguments]) == 2
    stderr = capsys.readouterr().err
    assert words in stderr and len(stderr.splitlines()) == 1
    assert not list(tmp_path.iterdir())


def test_options_become_the_plan(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(
        "timbrekit.experiment.run_experiment", lambda *given: asked.append(given) or tmp_path / "t.md"
    )
    arguments = ["experiment", "x.wav", "--out", str(tmp_path), "--seeds", "2", "--first-seed", "7"]
    assert main([*arguments, "--table", "played", "--models", "mlp", "--no-bounds"]) == 0
    assert main([*arguments, "--presets", "kick,snare-2", "--batch", "3", "--jobs", "4"]) == 0
    (played, *_), (paper, folder, jobs, *_) = asked
    rows = ("timbrekit", "published", "loudness alone")  # each recipe's own model
    assert played == Plan(("x.wav",), **{**PLAYED, "rows": rows, "seeds": 2, "first_seed": 7})
    assert paper == Plan(("x.wav",), presets=("kick", "snare-2"), seeds=2, first_seed=7, batch=3)
    assert (folder, jobs) == (tmp_path, 4)


def test_a_large_model_is_rehearsed_under_its_name_and_not_again(tmp_path):
    soundfile.write(tmp_path / "take.wav", varied_strokes(6), RATE)
    rows = played_rows(["published"], ["mlp-large"], bounds=False)[:1]
    plan = Plan(
        (str(tmp_path / "take.wav"),), **{**PLAYED, "presets": ("snare-1",), "rows": rows, "epochs": 1}
    )
    said: list[str] = []
    table = run_experiment(plan, tmp_path / "out", say=said.append).read_text(encoding="utf-8")
    assert said[:2] == ["take: 6 hits found", "take: published mlp-large, 1 done, 0 to come"]
    for place in ("| take | published mlp-large |", "| take | snare-1 | published mlp-large | 0 |"):
        for situation in ("held out", "second pass", "after primer", "cold", "unseen"):
            assert f"{place} {situation} |" in table
    assert (tmp_path / "out" / "take-snare-1-published-mlp-large-0.pt").is_file()
    assert r"\begin{tabular}" in (tmp_path / "out" / "results.tex").read_text(encoding="utf-8")
    means = pd.read_csv(tmp_path / "out" / "results.csv").set_index("situation")
    assert means.loc["cold", "models"] == 1 and means["first_8_error_ratio"].isna().sum() == 2
    assert (
        means["error_ratio"].to_dict()
        == read_models(tmp_path / "out").set_index("situation")["error_ratio"].to_dict()
    )
    run_experiment(plan, tmp_path / "out", say=said.append)
    assert sum("1 done" in words for words in said) == 1


def test_other_recordings_are_what_is_unseen_one_for_each_drum(tmp_path, capsys):
    for name, seed in (("a", 0), ("b", 1), ("other-a", 2), ("other-b", 3)):
        soundfile.write(tmp_path / f"{name}.wav", varied_strokes(9 + seed, seed=seed), RATE)
    drums, tests = (
        tuple(str(tmp_path / f"{name}.wav") for name in names) for names in ("ab", ("other-a", "other-b"))
    )
    plan = Plan(drums, **{**PLAYED, "tests": tests, "presets": ("snare-1",), "rows": ("loudness alone",)})
    assert plan.settings(ROWS["played"]["timbrekit"], "cpu").split == "whole"
    run_experiment(plan, tmp_path / "out")
    unseen = read_models(tmp_path / "out").query("situation == 'unseen'").set_index("drum")
    assert unseen["test_hits"].to_dict() == {"a": 11, "b": 12}
    assert (unseen["error_ratio"] < 1).all() and unseen["image"].between(0, 1).all()
    command = ["experiment", *drums, "--table", "played", "--out", str(tmp_path / "x"), "--test", tests[0]]
    assert main(command) == 2 and "one for each" in capsys.readouterr().err
    command = [
        "experiment",
        str(tmp_path),
        "--table",
        "played",
        "--out",
        str(tmp_path / "x"),
        "--test",
        tests[0],
    ]
    assert main(command) == 2 and "is a folder" in capsys.readouterr().err


def test_neither_table_touches_the_others_results(drums, tmp_path):
    add_records(tmp_path, records_of({"mlp": [1.0]}))
    with pytest.raises(OutputError, match="holds results of --table paper"):
        run_experiment(Plan((str(drums),), **PLAYED), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [FILE]


@pytest.mark.parametrize("wrong", [{"recipes": ["ours"]}, {"models": ["huge"]}])
def test_unknown_names_are_said(wrong):
    with pytest.raises(TimbrekitError, match=r"There is no (recipe 'ours'|model 'huge')"):
        played_rows(**wrong)


def test_only_the_row_as_published_is_trained_with_the_published_damping(monkeypatch):
    hits = find_hits(varied_strokes(12), RATE)
    source, seen = Source(hits, varied_strokes(12), World("gated")), []

    def stop(take, variants, settings):
        seen.append(variants[0].preset.damping["noise_filter.freq"])
        raise KeyboardInterrupt

    monkeypatch.setattr("timbrekit.experiment.measure.train_many", stop)
    for row in ("mlp", "mlp-as-published"):
        with pytest.raises(KeyboardInterrupt):
            measure_row(source, ROWS["paper"][row], [Variant(load_preset("snare-1"))], 1, 1, "cpu")
    assert seen == [load_preset("snare-1").damping["noise_filter.freq"], 1.0]
