"""A mapping over looks, from a take to a model file that is rehearsed, measured and checked."""

import json

import numpy as np
import pytest
import torch
from drum_support import drum_preset
from looks_golden import small_mapping
from takes import RATE, tiny_take, varied_strokes
from toy_synth import ToySynth, toy_preset

import timbrekit.synth
from timbrekit.errors import TrainingError
from timbrekit.estimate import fit_estimator
from timbrekit.export.check import check_model, open_model
from timbrekit.export.looks_model import describe_looks, serialize
from timbrekit.export.metadata import decode
from timbrekit.features.mel_looks import FEATURES, look_delays, looks_heard
from timbrekit.mapping import Mapping
from timbrekit.mapping_looks import CONTEXT, LooksModel, build_looks_network, with_context
from timbrekit.plugin.rehearse import rehearse
from timbrekit.plugin.rehearse_looks import rehearse_looks
from timbrekit.presets import load_preset
from timbrekit.recording import write_wav
from timbrekit.recording.prepare import prepare
from timbrekit.results.measure import measure_model
from timbrekit.training.inverse import draw_asked
from timbrekit.training.looks import train_looks
from timbrekit.training.looks_objective import SHIFTS, hear_take, hold_last
from timbrekit.training.recipes import make_settings
from timbrekit.training.settings import Settings
from timbrekit.workflow import rehearse_file, train_model

HITS = 24


@pytest.fixture(scope="module")
def outcome(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("timbrekit.training.warm_start.ROUNDS", 2)
        folder = tmp_path_factory.mktemp("mel")
        write_wav(folder / "take.wav", varied_strokes(HITS), RATE)
        write_wav(folder / "other.wav", varied_strokes(12, seed=3), RATE)
        (folder / "out").mkdir()
        (folder / "out" / "primer.wav").write_bytes(b"of an earlier training")
        about = prepare(folder / "take.wav"), load_preset("snare-1"), folder / "out"
        about, said = (*about, Settings(listener="mel", epochs=8)), []
        with pytest.raises(OSError, match="killed"):
            train_model(*about, _kill_after_ten, checkpoint=folder / "unfinished.pt")
        made = train_model(*about, stage=said.append, checkpoint=folder / "unfinished.pt")
        (folder / "said").write_text("\n".join(said))
        yield folder, made


def _kill_after_ten(epoch):
    if epoch.number == 10:
        raise OSError("killed")


def test_training_that_was_killed_goes_on_and_leaves_no_checkpoint_beside_the_model(outcome):
    folder, made = outcome
    assert "goes on where it was cut off, after 10 of 16 epochs" in (folder / "said").read_text()
    assert made.model.is_file() and not (folder / "unfinished.pt").exists()


def test_training_leaves_a_folder_with_all_but_a_primer(outcome):
    folder, made = outcome
    names = {path.name for path in (folder / "out").iterdir()}
    assert names == {"report.json", "report.png", "card.txt", "rehearsal.wav", "model.pt"}
    report = json.loads((folder / "out" / "report.json").read_text())
    assert report["listener"] == "mel" and "primer" not in report
    assert report["as_played"]["hits"] == HITS and report["as_played"]["error_ratio"] < 0.8
    card = (folder / "out" / "card.txt").read_text()
    said = " ".join(card.split())
    assert (
        "The mel listener listens on while it rings, and corrects the sound. So TorchDrum cannot play it"
        in said
    )
    assert "timbrekit page model.pt" in card and "--to nn-tilde" in card and "primer.wav" not in card
    assert report["name"] == "take as Snare 1, mel listener" and "24 hits, mel listener" in said
    assert made.trained.history[-1].number == made.trained.history[-1].of == 16


def test_the_file_is_ready_for_the_page_and_nn_and_not_for_torchdrum(outcome):
    _, made = outcome
    checked = check_model(made.model)
    assert not checked.ready and "TorchDrum hears a hit once" in checked.problems[0]
    assert checked.hosts == ("the page", "nn~")
    opened = open_model(made.model)
    assert opened.metadata["schema"] == 3 and not opened.problems and not opened.undescribed
    with torch.no_grad():
        features = hear_take(made.take).as_detected
        torch.testing.assert_close(
            opened.module(features)[:-1], made.trained.mapping(features), atol=1e-5, rtol=0
        )


def test_the_description_holds_all_numbers_of_the_mapping(outcome):
    _, made = outcome
    looks, estimator = open_model(made.model).metadata["looks"], made.trained.mapping.estimator
    count = looks["hits"]
    assert looks["windows"][0] == [64, 64, 8, 4] and count == len(estimator.known)
    for name, shape in (
        ("known", (count, 104)),
        ("linear", (284, 7)),
        ("weights", (5, count, 7)),
        ("low", (104,)),
    ):
        np.testing.assert_array_equal(decode(looks[name], *shape), getattr(estimator, name).numpy())
    np.testing.assert_array_equal(
        decode(looks["aims"]["now"], 5, 7, 14), made.trained.mapping.aims.now.numpy()
    )


def test_the_same_mapping_is_written_in_the_same_bytes():
    mapping = small_mapping()
    first, second = (serialize(mapping, describe_looks({"name": "x"}, mapping)) for _ in range(2))
    assert first == second


def test_it_can_be_rehearsed_and_measured_on_another_recording(outcome, tmp_path):
    folder, made = outcome
    trace = tmp_path / "trace.npz"
    told = rehearse_file(made.model, folder / "take.wav", tmp_path / "played.wav", trace=trace)
    assert told["triggers"] == HITS and np.load(trace)["modulation"].shape == (HITS, 14)
    unseen = measure_model(made.model, folder / "other.wav", folder / "take.wav")
    assert unseen.source == "second take" and len(unseen.played) == 12
    assert unseen.error_ratio < 1


def test_rehearsal_starts_earlier_than_the_plug_in_and_at_the_same_hits():
    samples, model = varied_strokes(6), LooksModel(small_mapping()).eval()
    ours = rehearse_looks(model, samples, RATE)
    never = torch.cat([torch.zeros(1, 14), torch.from_numpy(load_preset("snare-1").normalized())[None]])
    theirs = rehearse(lambda inputs: never, samples, RATE)
    np.testing.assert_array_equal(ours.triggers + 192, theirs.triggers)
    np.testing.assert_array_equal(ours.detections, theirs.detections)
    assert not ours.audio[: ours.triggers[0]].any() and ours.audio[ours.triggers[0] + 5]
    again = rehearse_looks(model, samples, RATE)
    np.testing.assert_array_equal(ours.audio, again.audio)


def test_nothing_is_heard_before_its_time():
    """What comes after a look's window changes no sample before its answer, and nothing of the look."""
    samples, model = varied_strokes(3), LooksModel(small_mapping()).eval()
    whole = rehearse_looks(model, samples, RATE)
    detection = whole.triggers[0] - look_delays(RATE)[0]
    for delay in look_delays(RATE):
        cut = samples.copy()
        cut[detection + delay + 1 :] = 0
        heard = rehearse_looks(model, cut, RATE)
        np.testing.assert_array_equal(
            heard.audio[: detection + delay + 1], whole.audio[: detection + delay + 1]
        )


def test_looks_end_where_the_next_hit_is_detected():
    detections = np.array([0, 1537, 1537 + 4098, 20_000])
    np.testing.assert_array_equal(looks_heard(detections, RATE), [3, 5, 5, 5])


def test_estimates_of_a_hit_come_from_hits_that_are_not_it_nor_its_copies():
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(20, FEATURES[-1], generator=generator) * 6 - 40
    wanted = torch.randn(20, 7, generator=generator)  # nothing can be known of it
    features[10:] = features[:10]
    wanted[10:] = wanted[:10]  # each is there twice
    groups = torch.arange(20) % 10
    estimator, apart, chosen = fit_estimator(features[None], wanted, groups, FEATURES)
    spread = (wanted - wanted.mean(0)).abs().mean()
    assert (estimator(features)[:, -1] - wanted).abs().mean() < (apart[0, :, -1] - wanted).abs().mean()
    assert (apart[0, :, -1] - wanted).abs().mean() > 0.8 * spread
    assert len(chosen) == len(FEATURES) and all(each.error > 0.8 * spread for each in chosen)


def test_what_a_look_tells_is_estimated():
    generator = torch.Generator().manual_seed(1)
    features = torch.randn(1, 80, FEATURES[-1], generator=generator) * 6 - 40
    wanted = features[0, :, 40:47] / 6  # told by the third look
    estimator, apart, _ = fit_estimator(features, wanted, torch.arange(80), FEATURES)
    errors = (apart[0] - wanted[:, None]).abs().mean((0, 2)) / (wanted - wanted.mean(0)).abs().mean()
    assert errors[1] > 0.9 and errors[2] < 0.8
    estimates = estimator(features[0] * 1000)  # far out of the ranges
    assert estimates.isfinite().all() and estimates.abs().max() < 100


def test_what_parts_of_a_take_do_not_tell_of_the_others_is_not_estimated():
    """Strokes played one after the other, that tell loudness alike. What else differs is each stroke's own chance."""
    generator = torch.Generator().manual_seed(4)
    stroke = torch.arange(60) // 5
    louder = torch.randn(60, 1, generator=generator)
    features = torch.randn(12, FEATURES[-1], generator=generator)[stroke] - 40 + 6 * louder
    chance = torch.randn(12, 1, generator=generator)[stroke]
    estimator, apart, _ = fit_estimator(
        features[None], torch.cat([louder, chance], 1), torch.arange(60), FEATURES
    )
    estimates = estimator(features)
    assert (estimates[:, -1, 1] == 0).all() and (apart[..., -1, 1] == 0).all()
    assert (estimates[:, -1, 0] - louder[:, 0]).abs().mean() < 0.1


def test_what_is_asked_for_lies_between_the_hits_and_the_reference():
    differences = torch.randn(30, 7, generator=torch.Generator().manual_seed(2))
    some = torch.arange(30).repeat(200)
    asked = draw_asked(differences, torch.arange(30), some, torch.Generator().manual_seed(3))
    share = torch.linalg.lstsq(differences[some].flatten()[:, None], asked.flatten()[:, None]).solution
    assert 0.4 < float(share) < 0.75


@pytest.mark.parametrize("count, apart", [(40, True), (120, False)])
def test_of_few_hits_features_that_go_together_are_also_asked_for_apart(count, apart):
    together = torch.randn(count, 1, generator=torch.Generator().manual_seed(2)).expand(-1, 7)
    some = torch.arange(count).repeat(50)
    asked = draw_asked(together, torch.arange(count), some, torch.Generator().manual_seed(3))
    assert (asked.std(-1).mean() > 0.12) == apart  # the noise on it has 0.1


def test_a_mapping_that_is_given_context_answers_as_before_where_there_is_none():
    preset = load_preset("snare-1")
    values, damping = (torch.from_numpy(each) for each in (preset.normalized(), preset.damping_vector()))
    mapping = Mapping(build_looks_network(7, 14), values, damping, torch.zeros(7))
    for weights in mapping.parameters():
        torch.nn.init.normal_(weights, generator=torch.Generator().manual_seed(1))
    wider, aims = with_context(mapping), torch.randn(5, 7, generator=torch.Generator().manual_seed(2))
    context = torch.ones(5, CONTEXT)
    torch.testing.assert_close(wider(torch.cat([aims, 0 * context], 1)), mapping(aims))
    assert (wider(torch.cat([aims, context], 1)) - mapping(aims)).abs().max() > 0.1


def test_looks_that_are_not_heard_change_nothing():
    parameters = torch.rand(2, 5, 14)
    held = hold_last(parameters, torch.tensor([2, 5]))
    torch.testing.assert_close(held[1], parameters[1])
    torch.testing.assert_close(held[0, 1:], parameters[0, 1:2].expand(4, -1))


def test_training_is_the_same_twice_and_heard_as_detected(short_warm_start):
    take, settings = tiny_take(16), Settings(listener="mel", epochs=2, split="whole")
    heard = hear_take(take)
    assert heard.features.shape == (len(SHIFTS), 16, 104) and (heard.looks == 5).all()
    first, second = (train_looks(take, load_preset("snare-1"), settings) for _ in range(2))
    for a, b in zip(first.mapping.parameters(), second.mapping.parameters(), strict=True):
        assert torch.equal(a, b)
    assert [epoch.train_loss for epoch in first.history] == [epoch.train_loss for epoch in second.history]


def test_a_drum_is_trained_too_and_a_synthesiser_without_updates_is_refused(short_warm_start, monkeypatch):
    settings = Settings(listener="mel", epochs=1, split="whole")
    preset = drum_preset()
    trained = train_looks(tiny_take(16), preset, settings)
    samples = varied_strokes(16)
    played = rehearse_looks(LooksModel(trained.mapping), samples, RATE, synth=preset.instrument())
    assert np.abs(played.audio).max() > 0.01 and played.parameters.shape == (16, len(preset.parameters))
    monkeypatch.setitem(timbrekit.synth.SYNTHS, "toy", ToySynth)
    with pytest.raises(TrainingError, match="toy cannot change its sound while it rings"):
        train_looks(tiny_take(16), toy_preset(), settings)


def test_too_few_hits_are_refused_in_words():
    with pytest.raises(TrainingError, match=r"5 hits to learn from are too few .* follows closer .* needs 8"):
        train_looks(tiny_take(6), load_preset("snare-1"))


def test_recipe_and_size_do_not_go_with_it():
    assert make_settings(listener="mel").listener == "mel"
    assert "listener" not in make_settings(device="cpu").to_json()
    assert make_settings(listener="mel").to_json()["listener"] == "mel"
    for other in ({"recipe": "published"}, {"model": "mlp"}):
        with pytest.raises(TrainingError, match="of its own"):
            make_settings(listener="mel", **other)
