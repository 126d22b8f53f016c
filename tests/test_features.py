"""Features against the plug-in's and the paper's own numbers, and against closed forms."""

import numpy as np
import pytest
import torch

from timbrekit.features import TIMBRE_SAMPLES, TimbreFeatures, onset_features


@pytest.fixture(scope="module")
def paper(golden_dir):
    data = np.load(golden_dir / "paper_features.npz")
    segments = torch.from_numpy(data["segments"].astype(np.float32) / 32768)
    return TimbreFeatures(44_100, gated=False)(segments).numpy(), data["timbre"]


def test_loudness_and_centroid_are_the_papers(paper):
    ours, theirs = paper
    np.testing.assert_allclose(ours[:, :4], theirs[:, :4], rtol=1e-3)


def test_flatness_and_temporal_centroid_are_the_papers(paper):
    ours, theirs = paper
    np.testing.assert_allclose(ours[:, 4:6], theirs[:, 4:6], atol=0.02)
    np.testing.assert_allclose(ours[:, 6], theirs[:, 6], rtol=1e-3)


@pytest.mark.parametrize("sample_rate", [44_100, 48_000, 96_000])
def test_onset_features_are_the_plugins(golden, sample_rate):
    samples = golden["input_i16"].astype(np.float32) / 32768
    windows = np.stack([samples[t - 255 : t + 1] for t in golden[f"trigger_idx_{sample_rate}"]])
    ours = onset_features(torch.from_numpy(windows), sample_rate).numpy()
    theirs = golden[f"raw_features_{sample_rate}"]
    np.testing.assert_allclose(ours[:, 0], theirs[:, 0], atol=1e-5)
    np.testing.assert_allclose(ours[:, 1], theirs[:, 1], atol=2e-4)
    np.testing.assert_allclose(ours[:, 2], theirs[:, 2], atol=0.016)


def test_edge_frames_give_the_plugins_onset_features(golden):
    ours = onset_features(torch.from_numpy(golden["edge_frames"]), 48_000).numpy()
    theirs = golden["edge_raw_features_48000"]
    np.testing.assert_allclose(ours[:, 0], theirs[:, 0], atol=1e-5)
    np.testing.assert_allclose(ours[:, 1], theirs[:, 1], atol=2e-4)
    np.testing.assert_allclose(ours[:, 2], theirs[:, 2], atol=0.016)


def test_a_full_scale_997_hz_sine_has_the_standards_loudness():
    # ITU-R BS.1770-4: a 0 dBFS 997 Hz sine in one channel reads -3.01 LKFS.
    time = torch.arange(TIMBRE_SAMPLES, dtype=torch.float64) / 48_000
    sine = torch.sin(2 * torch.pi * 997 * time)[None]
    for gated in (True, False):
        assert TimbreFeatures(gated=gated)(sine)[0, 1].item() == pytest.approx(-3.01, abs=0.05)


def _hit(decay_s: float, seed: int = 0) -> torch.Tensor:
    time = torch.arange(48_000, dtype=torch.float64) / 48_000
    noise = torch.rand(48_000, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) - 0.5
    return ((noise + torch.sin(2 * torch.pi * 200 * time)) * torch.exp(-time / decay_s) * 0.3)[None]


def test_silence_after_a_hit_does_not_move_the_gated_spectrum():
    hit = _hit(0.02)
    cut, faint = hit.clone(), hit.clone()
    cut[:, 9000:] = 0
    faint[:, 9000:] = 1e-5 * torch.sin(torch.arange(39_000, dtype=torch.float64) / 5)
    gated, plain = TimbreFeatures(), TimbreFeatures(gated=False)
    assert (gated(cut) - gated(faint))[0, 2:].abs().max() < 0.01
    assert (plain(cut) - plain(faint))[0, 2:].abs().max() > 1  # what the gate is for


def test_what_comes_after_a_hits_length_does_not_count():
    hit, length = _hit(0.1), torch.tensor([12_000])
    changed = hit.clone()
    changed[:, 12_000:] = _hit(0.5, seed=1)[:, :36_000]
    features = TimbreFeatures()
    torch.testing.assert_close(features(hit, length), features(changed, length))
    assert (features(hit) - features(changed)).abs().max() > 1


def test_a_length_shorter_than_a_frame_still_gives_finite_features():
    assert TimbreFeatures()(_hit(0.1), torch.tensor([1001])).isfinite().all()


@pytest.mark.parametrize("gated", [True, False])
def test_silence_has_finite_features_and_gradients(gated):
    silence = torch.zeros(2, 48_000, requires_grad=True)
    features = TimbreFeatures(gated=gated)(silence)
    features.sum().backward()
    assert features.isfinite().all() and silence.grad.isfinite().all()


def test_spectral_k_weighting_is_close_to_filtering_the_whole_segment(golden_dir):
    from scipy.signal import lfilter

    from timbrekit.features import FRAME, HOP, k_weighting

    data = np.load(golden_dir / "paper_features.npz")
    segments = data["segments"].astype(np.float64) / 32768
    filtered = segments
    for b, a in k_weighting(44_100):
        filtered = lfilter(np.divide(b, a[0]), np.divide(a, a[0]), filtered)
    frames = np.lib.stride_tricks.sliding_window_view(filtered[:, :TIMBRE_SAMPLES], FRAME, -1)[:, ::HOP]
    loudness = -0.691 + 10 * np.log10((frames**2).mean(-1) + 1e-7)
    ours = TimbreFeatures(44_100)(torch.from_numpy(segments))[:, :2].numpy()
    difference = np.abs(ours - np.stack([loudness[:, :2].mean(1), loudness[:, 2:].mean(1)], 1))
    assert difference.max() < 0.2


def test_a_thinner_hop_is_close_to_the_full_one():
    hits = torch.cat([_hit(decay, seed) for seed, decay in enumerate((0.03, 0.1, 0.3))])
    full, thin = TimbreFeatures()(hits), TimbreFeatures(hop=2048)(hits)
    assert (full - thin).abs().max() < 0.5


def test_features_are_differentiable():
    hit = _hit(0.05)[:, :40_000].requires_grad_()
    direction = torch.randn(hit.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64) * 1e-3
    features = TimbreFeatures()
    for index in range(7):
        (gradient,) = torch.autograd.grad(features(hit)[0, index], hit)
        step = 1e-5
        with torch.no_grad():
            slope = (features(hit + step * direction) - features(hit - step * direction))[0, index] / (
                2 * step
            )
        assert slope.item() == pytest.approx((gradient * direction).sum().item(), rel=3e-3, abs=1e-9)


def test_what_no_hit_of_a_batch_reaches_is_not_missed():
    hits = torch.cat([_hit(0.1), _hit(0.3, 1), _hit(0.05, 2)])
    for lengths in ([900, 3000, 2600], [9000, 5000, 12_000], [48_000, 40_000, 100]):
        lengths = torch.tensor(lengths)
        for features in (TimbreFeatures(), TimbreFeatures(hop=2048), TimbreFeatures(44_100)):
            needed = features.samples_needed(lengths)
            assert needed == TIMBRE_SAMPLES or needed < 13_000
            short = features(hits[:, :needed], lengths)
            torch.testing.assert_close(short, features.summarize(features.analyze(hits), lengths))
