"""The paper's table: its drums, its rows, its shards, its statistics, and what it looks like."""

import csv
import json
import math
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest
import soundfile
from takes import GAP_SECONDS, RATE, varied_strokes

from timbrekit.cli import main
from timbrekit.errors import OutputError, PresetError, RecordingError, TimbrekitError, TrainingError
from timbrekit.experiment import Plan, played, run_shard, shard, write_tables
from timbrekit.experiment.drums import find_drums
from timbrekit.experiment.measure import Measured, Source, measure_row
from timbrekit.experiment.plan import all_groups, parse_shard, shard_of
from timbrekit.experiment.results import COLUMNS, read_folder, read_records, record_of, shard_path, write_csv
from timbrekit.experiment.rows import ROWS, World, find_rows
from timbrekit.experiment.statistics import summarise, worse_features
from timbrekit.experiment.table import escape_latex
from timbrekit.features import TIMBRE_FEATURES
from timbrekit.presets import load_preset, save_preset
from timbrekit.recording.hits import cut_windows, find_hits
from timbrekit.training.fast.train import Variant, train_many
from timbrekit.training.train import Trained

QUICK = {"presets": ("snare-1", "snare-3"), "epochs": 1, "iterations": 1}
COUNT = 8  # hits of each drum
ERRORS = {"preset": [2.0, 2.0], "direct": [0.5, 0.5], "mlp": [1.0, 2.0], "ours": [0.75, 1.25]}  # by seed


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


def test_each_folder_of_single_hits_is_a_drum_in_which_the_plugin_finds_them_all(drums):
    found = find_drums([drums])
    assert [drum.name for drum in found] == ["dry_snare & brush", "wet snare"]
    prepared = found[0].prepare()
    assert len(prepared.hits) == COUNT
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
    settings = World("published").settings(ROWS["mlp"])
    assert (settings.recipe, settings.epochs, settings.learning_rate) == ("published", 250, 5e-4)
    assert settings.centred and settings.plateau and not settings.balanced and not settings.warm_start
    assert settings.damping == "preset" and not settings.forgets_centre
    assert World().settings(ROWS["linear-2048"]).learning_rate == 5e-3


def test_one_row_trains_as_published_in_either_world():
    for world in ("published", "gated"):
        settings = World(world).settings(ROWS["mlp-as-published"])
        assert (settings.fresh_noise, settings.damping) == (False, "published")
        assert (settings.features, settings.forgets_centre) == (world, False)


@pytest.mark.parametrize("row", ["mlp", "ours"])
@pytest.mark.parametrize("world", ["published", "gated"])
def test_training_and_measuring_share_a_world(row, world):
    settings = World(world).settings(ROWS[row])
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
    unchanged = measure_row(source, ROWS["preset"], variants)
    assert unchanged[0].error_ratio == 1 and (unchanged[0].played == 0).all()
    assert not np.array_equal(unchanged[0].intended, unchanged[1].intended)
    for key in ("direct", "linear-2048"):
        for theirs, ours in zip(measure_row(source, ROWS[key], variants, 1, 1), unchanged, strict=True):
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
        measure_row(Source(hits, strokes, World()), ROWS["linear"], [Variant(load_preset("snare-1"))], 1)


def test_following_is_told_by_loudness_onset_and_brightness():
    intended = np.zeros((5, 7), np.float32)
    intended[:, 0], intended[:, 2] = [1, 2, 3, 4, 5], [5, 1, 4, 2, 3]
    played = intended * 0.5
    played[:, 2] *= -1
    measured = Measured(played, intended, np.array([1, 2, 3, 5, 4], np.float32), 5, 1, 0.0)
    assert measured.follows == pytest.approx((1.0, 0.9, -1.0))


def test_every_model_is_in_exactly_one_shard_however_the_options_are_ordered(drums):
    groups = all_groups(plan_of(drums, seeds=3), batch=4)
    jobs = {job for group in groups for job in group.jobs}
    assert len(jobs) == sum(len(group.jobs) for group in groups) == 2 * len(ROWS) * 2 * 3
    assert max(len(group.jobs) for group in groups) == 4
    for of in (1, 3, 7):
        shards = [shard_of(groups, number, of) for number in range(1, of + 1)]
        assert sorted(g.mark for s in shards for g in s) == sorted(g.mark for g in groups)
        assert max(map(len, shards)) - min(map(len, shards)) <= 1
    assert shard_of(groups, 2, 3) == shard_of(groups[::-1], 2, 3)


def test_seeds_start_where_asked(drums):
    groups = all_groups(plan_of(drums, seeds=2, first_seed=5), batch=4)
    assert {job.seed for group in groups for job in group.jobs} == {5, 6}


@pytest.mark.parametrize("text", ["0/2", "3/2", "1", "a/b", "1/2/3", "-1/2"])
def test_a_shard_that_is_none_is_an_error(text):
    with pytest.raises(TrainingError, match="is not a shard"):
        parse_shard(text)
    assert parse_shard("2/8") == (2, 8)


def test_two_presets_of_one_name_are_an_error(drums, tmp_path):
    other = save_preset(load_preset("snare-2"), tmp_path / "snare-1.json")
    with pytest.raises(PresetError, match="Two presets are called snare-1"):
        all_groups(plan_of(drums, presets=("snare-1", str(other))), 1)


def test_two_processes_make_the_same_table_as_one(drums, tmp_path):
    plan = plan_of(drums / "wet snare", rows=("preset", "linear"), presets=("snare-1",))
    other = get_context("spawn").Process(target=run_shard, args=(plan, tmp_path / "two", (1, 2)))
    other.start()
    run_shard(plan, tmp_path / "two", (2, 2))
    other.join()
    assert other.exitcode == 0
    run_shard(plan, tmp_path / "one")
    assert {path.name for path in (tmp_path / "two").iterdir()} == {
        *("results-1-of-2.csv", "results-2-of-2.csv", "results.md", "results.csv", "results.tex"),
    }
    two, one = (
        sorted(read_folder(tmp_path / name), key=lambda r: (r["drum"], r["row"], r["preset"]))
        for name in ("two", "one")
    )
    assert len(two) == len(one) == 2
    for mine, theirs in zip(two, one, strict=True):
        for column in COLUMNS:
            if isinstance(mine[column], float) and column != "seconds":
                assert mine[column] == pytest.approx(theirs[column], rel=1e-3, abs=1e-4)
            elif column != "seconds":
                assert mine[column] == theirs[column]


@pytest.fixture
def trained(monkeypatch, hits, strokes):
    """What a stand-in for training was asked for."""
    trained: list[tuple[str, str]] = []

    def measure(source, row, variants, *rest):
        trained.extend((row.key, variant.preset.name) for variant in variants)
        return [some_measured() for _ in variants]

    monkeypatch.setattr(shard, "measure_row", measure)
    monkeypatch.setattr(shard, "_prepare", lambda group, plan, say: Source(hits, strokes, plan.world))
    return trained


def test_what_is_done_is_not_done_again_not_even_in_other_shards(drums, tmp_path, trained):
    plan = plan_of(drums / "wet snare", rows=("preset", "linear"))
    run_shard(plan, tmp_path, (1, 2), batch=1)
    assert len(trained) == 2 and not (tmp_path / "results.md").exists()
    run_shard(plan, tmp_path, (1, 2), batch=1)
    assert len(trained) == 2
    run_shard(plan, tmp_path, batch=4)
    assert sorted(trained) == [(row, name) for row in ("linear", "preset") for name in QUICK["presets"]]
    assert (tmp_path / "results.md").exists()


def test_a_stopped_shard_keeps_the_groups_that_it_finished(drums, tmp_path, trained, monkeypatch):
    counted = shard.measure_row

    def stopped(source, row, *rest):
        if trained:
            raise KeyboardInterrupt
        return counted(source, row, *rest)

    plan = plan_of(drums / "wet snare", rows=("preset", "linear"))
    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(shard, "measure_row", stopped)
        run_shard(plan, tmp_path)
    assert len(read_records(shard_path(tmp_path, 1, 1))) == 2
    run_shard(plan, tmp_path)
    assert len(trained) == 4


def test_results_of_other_settings_are_not_mixed_in(drums, tmp_path, trained):
    run_shard(plan_of(drums / "wet snare", rows=("linear",)), tmp_path)
    for changed in ({"epochs": 2}, {"features": "gated"}):
        with pytest.raises(OutputError, match="other settings"):
            run_shard(plan_of(drums / "wet snare", rows=("linear",), **changed), tmp_path)
    assert len(trained) == 2
    run_shard(plan_of(drums / "wet snare", rows=("linear", "preset"), iterations=3), tmp_path)
    assert len(trained) == 4  # the search is none of a linear mapping's settings


def test_a_foreign_file_is_left_alone(drums, tmp_path, trained):
    shard_path(tmp_path, 1, 1).write_text("what,else\n1,2\n", encoding="utf-8")
    with pytest.raises(OutputError, match="results-1-of-1"):
        run_shard(plan_of(drums / "wet snare"), tmp_path)
    assert shard_path(tmp_path, 1, 1).read_text(encoding="utf-8") == "what,else\n1,2\n"


def some_measured(error=1.0) -> Measured:
    intended = np.full((2, 7), 2.0, np.float32)
    return Measured(intended - np.float32(error), intended, np.zeros(2, np.float32), 2, 1, 0.5)


def records_of(errors: dict[str, list[float]], drum="drum") -> list[dict]:
    """Made-up results: for each row the error of each of some seeds, the same in all features."""
    jobs = [(row, seed, error) for row, each in errors.items() for seed, error in enumerate(each)]
    groups = {row: ROWS[row] for row in errors}
    return [
        record_of(
            shard.Job(drum, groups[row].key, "snare-1", seed), "published", row, 20, some_measured(error)
        )
        for row, seed, error in jobs
    ]


def write_records(folder: Path, records: list[dict]) -> None:
    write_csv(shard_path(folder, 1, 1), COLUMNS, records)


def test_differences_are_paired_and_have_their_standard_error():
    lines = {line.row.key: line for line in summarise(records_of(ERRORS))}
    ours = lines["ours"].against_mlp
    differences = np.array([0.75 - 1.0, 1.25 - 2.0]) / 2  # ratios to the preset's error of 2
    assert ours.pairs == 2 and ours.mean == pytest.approx(differences.mean())
    assert ours.error == pytest.approx(differences.std(ddof=1) / math.sqrt(2))
    assert lines["mlp"].against_mlp is None
    gaps = {key: line.gap for key, line in lines.items()}
    assert gaps == pytest.approx({"preset": 1.5, "direct": 0.0, "mlp": 1.0, "ours": 0.5})


def test_only_what_both_have_is_paired():
    lines = {line.row.key: line for line in summarise(records_of({"mlp": [1.0], "ours": [0.5, 9.0]}))}
    assert lines["ours"].against_mlp.pairs == 1
    assert lines["ours"].against_mlp.mean == pytest.approx(-0.25, rel=1e-5)
    assert math.isnan(lines["ours"].against_mlp.error) and lines["ours"].gap is None


def test_errors_are_pooled_over_all_hits():
    line = summarise(records_of({"mlp": [1.0, 3.0]}))[0]
    assert line.errors == pytest.approx([2.0] * 7) and line.spreads == pytest.approx([1.0] * 7)
    assert line.models == 2


def test_a_feature_is_worse_only_beyond_its_standard_error():
    records = records_of({"mlp": [1.0, 1.0, 1.0], "ours": [1.0, 1.0, 1.0]})
    for record, more in zip(records[3:], (0.3, 0.2, 0.4), strict=True):
        record["error centroid sustain"] += more
    for record, more in zip(records[3:], (-1.0, 0.9, 0.4), strict=True):
        record["error flatness transient"] += more  # a tenth more, give or take half
    worse = worse_features(records, ROWS["ours"], ROWS["mlp"])
    assert list(worse) == ["centroid sustain"] and worse["centroid sustain"].mean == pytest.approx(0.3)
    assert worse_features(records, ROWS["ours"], ROWS["mlp-large"]) is None


def test_they_hold_what_was_measured(tmp_path):
    write_records(tmp_path, records_of(ERRORS))
    text = write_tables(tmp_path).read_text(encoding="utf-8")
    assert "| MLP | 1.50 ± 0.50 |" in text and "| timbrekit | -0.250 ± 0.125 | 2 | 0.50 |" in text
    assert "timbrekit is worse than MLP by more than a standard error: in no feature." in text
    with (tmp_path / "results.csv").open(newline="", encoding="utf-8") as file:
        lines = {line["row"]: line for line in csv.DictReader(file)}
    assert list(lines) == ["preset", "direct", "mlp", "ours"]
    for column in ("mean_ratio", "distance_left"):
        assert float(lines["ours"][column]) == pytest.approx(0.5, rel=1e-5)
    assert all(float(lines["mlp"][f"error {name}"]) == 1.5 for name in TIMBRE_FEATURES)


def test_names_of_drums_do_no_harm(tmp_path):
    write_records(tmp_path, records_of({"mlp": [1.0]}, drum=r"a|b_c & 50% \d{e}#1$^~"))
    write_tables(tmp_path)
    tex = (tmp_path / "results.tex").read_text(encoding="utf-8")
    escaped = r"a|b\_c \& 50\% \textbackslash{}d\{e\}\#1\$\textasciicircum{}\textasciitilde{}"
    assert f"\n{escaped} & 0.50 \\\\\n" in tex
    assert tex.count(r"\begin{table}") == tex.count(r"\end{table}") == 5
    assert tex.count(r"\toprule") == tex.count(r"\midrule") == tex.count(r"\bottomrule") == 5
    head = next(line for line in tex.splitlines() if "temporal centroid" in line)
    row = next(line for line in tex.splitlines() if line.startswith("MLP & 1"))
    assert head.count(" & ") == row.count(" & ") == 9
    assert r"a\|b\_c & 50%" in (tmp_path / "results.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("text", "escaped"), [("-0.25 ± 0.10", r"$-0.25$ $\pm$ 0.10"), ("hi-hat", "hi-hat"), ("–", "--")]
)
def test_latex_gets_its_own_signs(text, escaped):
    assert escape_latex(text) == escaped


def test_what_is_missing_is_said(tmp_path):
    write_records(tmp_path, records_of({"mlp": [1.0, 1.0], "ours": [1.0]}))
    assert "of 2 models each there are timbrekit 1." in write_tables(tmp_path).read_text(encoding="utf-8")


def test_results_that_do_not_belong_together_make_no_table(tmp_path):
    with pytest.raises(OutputError, match="no results"):
        write_tables(tmp_path)
    records = records_of({"mlp": [1.0, 1.0]})
    write_records(tmp_path, [records[0], {**records[1], "recipe": "other"}])
    with pytest.raises(OutputError, match="do not belong together"):
        write_tables(tmp_path)
    write_records(tmp_path, [{**records[0], "row": "forest"}])
    with pytest.raises(OutputError, match="no row forest"):
        write_tables(tmp_path)
    assert not (tmp_path / "results.md").exists()


def test_shards_then_the_table(drums, tmp_path, capsys):
    arguments = ["experiment", str(drums / "wet snare"), "--out", str(tmp_path), "--json"]
    arguments += [
        "--rows",
        "preset,linear",
        "--presets",
        "snare-1",
        "--epochs",
        "1",
        "--features",
        "gated",
        "--first-seed",
        "3",
    ]
    for number, table in ((1, None), (2, str(tmp_path / "results.md"))):
        assert main([*arguments, "--shard", f"{number}/2"]) == 0
        result = json.loads(capsys.readouterr().out)
        assert result == {"results": str(tmp_path / f"results-{number}-of-2.csv"), "table": table}
    assert {(record["features"], record["seed"]) for record in read_folder(tmp_path)} == {("gated", 3)}
    (tmp_path / "results.md").unlink()
    assert main(["experiment", "--merge", str(tmp_path)]) == 0
    assert "| Linear |" in (tmp_path / "results.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "--out"),
        (["x.wav"], "--out"),
        (["x.wav", "--out", "y", "--models", "mlp"], "--models belongs to --table played"),
        (
            ["x.wav", "--out", "y", "--table", "played", "--shard", "1/2"],
            "--shard belongs to --table paper",
        ),
        (["x.wav", "--merge", "y"], "no meaning with --merge"),
        (["--merge", "y", "--first-seed", "0"], "--first-seed has no meaning with --merge"),
        (["x.wav", "--out", "y", "--shard", "3/2"], "'3/2' is not a shard"),
        (["x.wav", "--out", "y"], "no recording or folder x.wav"),
    ],
)
def test_what_cannot_be_meant_is_said_in_one_line(arguments, words, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["experiment", *arguments]) == 2
    stderr = capsys.readouterr().err
    assert words in stderr and len(stderr.splitlines()) == 1
    assert not list(tmp_path.iterdir())


def test_seeds_of_what_is_played_start_where_asked(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(
        played, "run_played", lambda *given: asked.append(list(given[4])) or tmp_path / "t.md"
    )
    arguments = ["x.wav", "--out", str(tmp_path), "--table", "played", "--seeds", "2", "--first-seed", "7"]
    assert main(["experiment", *arguments]) == 0
    assert asked == [[7, 8]]


def test_a_large_model_is_rehearsed_under_its_name_and_not_again(tmp_path):
    soundfile.write(tmp_path / "take.wav", varied_strokes(6), RATE)
    said: list[str] = []

    def run() -> Path:
        return played.run_played(
            [tmp_path / "take.wav"],
            ["snare-1"],
            tmp_path / "out",
            ["published"],
            bounds=False,
            epochs=1,
            models=["mlp-large"],
            say=said.append,
        )

    table = run().read_text(encoding="utf-8")
    assert said == ["take, snare-1: published mlp-large, seed 0"]
    assert table.count("| published mlp-large | after primer |") == 2
    assert (tmp_path / "out" / "take-snare-1-published-mlp-large-0.pt").is_file()
    run()
    assert len(said) == 1


def test_neither_table_touches_the_others_results(drums, tmp_path):
    write_records(tmp_path, records_of({"mlp": [1.0]}))
    write_tables(tmp_path)
    with pytest.raises(OutputError, match="another experiment"):
        played.run_played([drums], ["snare-1"], tmp_path)
    played_table = tmp_path / "played"
    played_table.mkdir()
    write_csv(played_table / "results.csv", ["recording", "situation"], [])
    with pytest.raises(OutputError, match="--table played"):
        run_shard(plan_of(drums), played_table)
    assert [path.name for path in played_table.iterdir()] == ["results.csv"]


@pytest.mark.parametrize("wrong", [{"recipes": ["ours"]}, {"models": ["huge"]}])
def test_unknown_names_are_said(drums, tmp_path, wrong):
    with pytest.raises(TimbrekitError, match=r"There is no (recipe 'ours'|model 'huge')"):
        played.run_played([drums], ["snare-1"], tmp_path, **wrong)
