"""Terms that keep members apart: values by hand, NumPy as the oracle of the correlation, the decomposition behind one of them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from shortaxis.errors import InputError
from shortaxis.losses import DIVERSITIES, error_correlation, negative_correlation

quick = settings(max_examples=40)
ONE = torch.ones(1, dtype=torch.float64)


def pixel(*members: list[float]) -> torch.Tensor:
    return torch.tensor(members, dtype=torch.float64)[:, None, :, None, None]


@st.composite
def batches(draw: st.DrawFn) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**32 - 1)))
    n, b = draw(st.integers(2, 4)), draw(st.integers(1, 3))
    members = torch.softmax(2 * torch.randn(n, b, 4, 3, 5, generator=generator, dtype=torch.float64), dim=2)
    weight = torch.randint(1, 4, (b,), generator=generator).double()
    return members, torch.randint(0, 4, (b, 3, 5), generator=generator), weight


class TestNegativeCorrelation:
    def test_by_hand(self) -> None:
        """Members (1, 0) and (0, 1) of two classes stand 1/2 from their mean in each: -(1/4 + 1/4)."""
        found = negative_correlation(pixel([1.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0]), torch.zeros(1, 1, 1, dtype=torch.long), ONE)
        assert float(found) == pytest.approx(-0.5)

    @quick
    @given(batches())
    def test_error_of_the_mean_is_the_mean_error_plus_the_term(self, batch) -> None:
        members, labels, weight = batch
        truth = torch.eye(4, dtype=torch.float64)[labels].movedim(-1, 1)

        def squared(error: torch.Tensor) -> torch.Tensor:
            return (error.square().sum(dim=-3).mean(dim=(-2, -1)) * weight / weight.sum()).sum(dim=-1)

        whole, parts = squared(members.mean(dim=0) - truth), squared(members - truth).mean()
        torch.testing.assert_close(whole, parts + negative_correlation(members, labels, weight))


class TestErrorCorrelation:
    LABELS = torch.zeros(1, 1, 1, dtype=torch.long)

    def test_members_that_err_alike_correlate_wholly_however_much_they_err(self) -> None:
        found = error_correlation(pixel([0.9, 0.1, 0.0, 0.0], [0.1, 0.9, 0.0, 0.0]), self.LABELS, ONE)
        assert float(found) == pytest.approx(1.0)

    def test_by_hand(self) -> None:
        """Errors (-0.5, 0.5, 0, 0) and (-0.5, 0, 0.5, 0): 0.25 / 0.5."""
        found = error_correlation(pixel([0.5, 0.5, 0.0, 0.0], [0.5, 0.0, 0.5, 0.0]), self.LABELS, ONE)
        assert float(found) == pytest.approx(0.5)

    @quick
    @given(batches())
    def test_equals_the_mean_of_the_correlation_matrix_off_its_diagonal(self, batch) -> None:
        members, labels, weight = batch
        errors = (members - torch.eye(4, dtype=torch.float64)[labels].movedim(-1, 1)).numpy()
        # A slice of weight w is w slices.
        repeated = np.repeat(errors, weight.long().numpy(), axis=1).reshape(len(members), -1)
        matrix = np.corrcoef(repeated)
        expected = matrix[~np.eye(len(members), dtype=bool)].mean()
        assert float(error_correlation(members, labels, weight)) == pytest.approx(expected)

    def test_perfect_members_have_no_correlation_and_a_finite_gradient(self) -> None:
        members = pixel([1.0, 0.0, 0.0, 0.0], [1.0, 0.0, 0.0, 0.0]).requires_grad_()
        found = error_correlation(members, self.LABELS, ONE)
        found.backward()
        assert found.item() == 0.0
        assert torch.isfinite(members.grad).all()


@pytest.mark.parametrize("name", DIVERSITIES)
class TestEveryTerm:
    @quick
    @given(batch=batches())
    def test_padding_has_no_effect(self, name: str, batch) -> None:
        members, labels, weight = batch
        padded = torch.cat([members, members[:, :1].roll(1, dims=2)], dim=1)
        found = DIVERSITIES.named(name)(padded, torch.cat([labels, labels[:1]]), torch.cat([weight, torch.zeros(1, dtype=torch.float64)]))
        torch.testing.assert_close(found, DIVERSITIES.named(name)(members, labels, weight))

    @quick
    @given(batch=batches(), random=st.randoms(use_true_random=False))
    def test_order_of_members_does_not_matter(self, name: str, batch, random) -> None:
        members, labels, weight = batch
        order = random.sample(range(len(members)), len(members))
        term = DIVERSITIES.named(name)
        torch.testing.assert_close(term(members[order], labels, weight), term(members, labels, weight))

    def test_gradient_reaches_every_member_and_equals_finite_differences(self, name: str) -> None:
        torch.manual_seed(0)
        logits = torch.randn(3, 2, 4, 2, 2, dtype=torch.float64, requires_grad=True)
        labels, weight = torch.randint(0, 4, (2, 2, 2)), torch.tensor([1.0, 3.0], dtype=torch.float64)

        def term(values: torch.Tensor) -> torch.Tensor:
            return DIVERSITIES.named(name)(torch.softmax(values, dim=2), labels, weight)

        assert torch.autograd.gradcheck(term, (logits,))
        (gradient,) = torch.autograd.grad(term(logits), logits)
        assert (gradient.abs().sum(dim=(1, 2, 3, 4)) > 0).all()

    def test_single_member_is_refused(self, name: str) -> None:
        with pytest.raises(InputError, match=r"two members; .*loss\.diversity"):
            DIVERSITIES.named(name)(pixel([1.0, 0.0, 0.0, 0.0]), torch.zeros(1, 1, 1, dtype=torch.long), ONE)


def test_unknown_term_is_refused_with_the_known_ones() -> None:
    with pytest.raises(InputError, match=r"'apart'; known are .*error-correlation"):
        DIVERSITIES.named("apart")
