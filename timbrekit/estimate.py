"""From looks at a hit to what the whole hit will sound like: a kernel regression, fitted in closed form.

The estimate is what the network of a mapping over looks is given. There are few hits to learn it from, and so it has
no weights that are searched for: hits that look alike sound alike (a kernel), and what grows in a look grows in the
sound (a linear part). How far to trust the linear part, and how much to shrink the whole (kernel ridge regression;
Saunders et al., 1998), is chosen by leaving hits out, each with all its near-copies. A hit that is left out has others
of its stroke beside it. So whole parts of the take are left out as well: what cannot be told of them is not estimated.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

WIDTH = 4.0  # of the kernel, in standard deviations along each feature
LINEAR = (0.1, 0.3, 1.0)  # shares of the linear part that are tried
RIDGE = (0.01, 0.03, 0.1, 0.3, 1.0)  # shrinkages that are tried
SOFTEN = 1.0  # dB added to each feature's standard deviation: what hardly moves is not blown up
FOLDS = 8
PARTS = (3, 4, 5)  # equal parts of the take, each of which is left out
# Errors on these, in those of saying nothing: up to the first an estimate counts whole, from the second on not at all.
WHOLE, NONE = 0.8, 1.0


@dataclass(frozen=True)
class Chosen:
    """How a look's regression was chosen."""

    linear: float
    ridge: float
    error: float  # mean absolute, of hits left out


class Estimator(nn.Module):
    """Estimates of hits from features of looks, one regression for each look.

    With the D_k features heard by look k, ``x = clip((features - mean) / scale, low, high)`` and the hits ``x_i`` that
    it learned from: ``e_k = offset_k + x W_k + sum_i exp(-|x - x_i| / (4 sqrt(D_k))) A_ki``.
    """

    def __init__(
        self, mean: Tensor, scale: Tensor, known: Tensor, parts: list[tuple[Tensor, Tensor, Tensor]]
    ):
        """
        Args:
            mean, scale: ``(D,)`` in dB.
            known: ``(n, D)`` the scaled hits, whose ranges are kept to.
            parts: of each look the offset ``(m,)``, linear part ``(D_k, m)``, and weights of the kernel ``(n, m)``.
                The linear parts are kept one below the other.
        """
        super().__init__()
        self.sizes: list[int] = [len(linear) for _, linear, _ in parts]
        for name, values in (("mean", mean), ("scale", scale), ("known", known)):
            self.register_buffer(name, values.float())
        self.register_buffer("low", self.known.amin(0))
        self.register_buffer("high", self.known.amax(0))
        self.register_buffer("offset", torch.stack([offset for offset, _, _ in parts]).float())
        self.register_buffer("linear", torch.cat([linear for _, linear, _ in parts]).float())
        self.register_buffer("weights", torch.stack([weights for _, _, weights in parts]).float())

    def forward(self, features: Tensor) -> Tensor:
        """``(n, looks, m)`` of ``(n, D)``. Features of later looks do not change what is said of earlier ones."""
        x = torch.minimum(torch.maximum((features - self.mean) / self.scale, self.low), self.high)
        estimates: list[Tensor] = []
        first = 0
        for look, size in enumerate(self.sizes):
            seen, known = x[:, :size], self.known[:, :size]
            apart = seen.unsqueeze(1) - known.unsqueeze(0)
            alike = torch.exp(-torch.sqrt((apart * apart).sum(-1)) / (4.0 * math.sqrt(float(size))))
            straight = torch.matmul(seen, self.linear[first : first + size])
            estimates.append(self.offset[look] + straight + torch.matmul(alike, self.weights[look]))
            first += size
        return torch.stack(estimates, 1)


def fit_estimator(
    features: Tensor, wanted: Tensor, groups: Tensor, sizes: tuple[int, ...]
) -> tuple[Estimator, Tensor, list[Chosen]]:
    """Fit an estimator to hits, and say what it would estimate of each of them if it did not know it.

    Args:
        features: ``(shifts, n, D)`` dB: of hits in the order in which they were played, heard earlier and later, those
            in the middle as they are detected. The regression learns from these alone.
        wanted: ``(n, m)`` what to estimate, each of about unit size.
        groups: ``(n,)`` numbers, equal for near-copies.
        sizes: how many features have been heard at each look.

    Returns:
        The estimator; ``(shifts, n, looks, m)`` estimates of each hit by regressions fitted without it, its near-copies
        and the rest of its fold; how each look's regression was chosen.
    """
    features, wanted = features.double(), wanted.double()
    middle = features[len(features) // 2]
    mean, scale = middle.mean(0), middle.std(0, correction=0) + SOFTEN
    x = (features - mean) / scale
    known = x[len(x) // 2]
    x = torch.minimum(torch.maximum(x, known.amin(0)), known.amax(0))
    folds, parts, choices, apart = _folds(groups), [], [], []
    for size in sizes:
        seen = known[:, :size]
        chosen = _choose(seen, wanted, groups)
        choices.append(chosen)
        trust = _trust(seen, wanted, chosen)
        parts.append(tuple(each * trust for each in _solve(seen, wanted, chosen)))
        apart.append(_left_out(x[..., :size], seen, wanted, folds, chosen) * trust)
    return Estimator(mean, scale, known, parts), torch.stack(apart, 2).float(), choices


def _kernel(a: Tensor, b: Tensor) -> Tensor:
    """``(…, n, m)`` of ``(…, n, D)`` and ``(m, D)``: a Laplacian kernel of the Euclidean distance."""
    return torch.exp(-torch.cdist(a, b.expand(*a.shape[:-2], *b.shape)) / (WIDTH * math.sqrt(a.shape[-1])))


def _solve(seen: Tensor, wanted: Tensor, chosen: Chosen) -> tuple[Tensor, Tensor, Tensor]:
    """Offset ``(m,)``, linear part ``(D, m)`` and weights of the kernel ``(n, m)`` of a kernel ridge regression."""
    offset, share = wanted.mean(0), chosen.linear / seen.shape[1]
    matrix = (
        _kernel(seen, seen) + share * seen @ seen.T + chosen.ridge * torch.eye(len(seen), dtype=seen.dtype)
    )
    weights = torch.linalg.solve(matrix, wanted - offset)
    return offset, share * seen.T @ weights, weights


def _left_out(x: Tensor, seen: Tensor, wanted: Tensor, folds: Tensor, chosen: Chosen) -> Tensor:
    """``(…, n, m)`` estimates of ``(…, n, D)`` by regressions fitted without the fold ``(n,)`` of each."""
    estimates = x.new_zeros(*x.shape[:-1], wanted.shape[1])
    for fold in folds.unique():
        rest, own = seen[folds != fold], x[..., folds == fold, :]
        offset, linear, weights = _solve(rest, wanted[folds != fold], chosen)
        estimates[..., folds == fold, :] = offset + own @ linear + _kernel(own, rest) @ weights
    return estimates


def _trust(seen: Tensor, wanted: Tensor, chosen: Chosen) -> Tensor:
    """``(m,)`` in [0, 1]: how far to follow what is said of each number, by parts of the take that are left out."""
    parted = [torch.arange(len(seen)) * parts // len(seen) for parts in PARTS]
    errors = [(_left_out(seen, seen, wanted, folds, chosen) - wanted).abs().mean(0) for folds in parted]
    error = torch.stack(errors).mean(0) / wanted.abs().mean(0).clamp_min(1e-9)
    return ((NONE - error) / (NONE - WHOLE)).clamp(0, 1)


def _choose(seen: Tensor, wanted: Tensor, groups: Tensor) -> Chosen:
    """By the error of groups left out, in closed form: ``(K^-1)_gg^-1 (K^-1 wanted)_g``, the ridge in K."""
    alike, product = _kernel(seen, seen), seen @ seen.T / seen.shape[1]
    members = [torch.nonzero(groups == group)[:, 0] for group in groups.unique()]
    tried = []
    for linear in LINEAR:
        for ridge in RIDGE:
            matrix = alike + linear * product + ridge * torch.eye(len(seen), dtype=seen.dtype)
            inverse = torch.linalg.inv(matrix)
            weights = inverse @ (wanted - wanted.mean(0))
            errors = [
                torch.linalg.solve(inverse[some][:, some], weights[some]).abs().sum() for some in members
            ]
            tried.append(Chosen(linear, ridge, float(torch.stack(errors).sum()) / wanted.numel()))
    return min(tried, key=lambda each: each.error)


def _folds(groups: Tensor) -> Tensor:
    """``(n,)`` number of each hit's fold: near-copies together, the groups dealt out by turns."""
    _, order = groups.unique(return_inverse=True)
    return order % FOLDS
