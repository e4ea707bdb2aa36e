"""A stacked model is the same model as one trained alone: by torch's own loop, and bit by bit."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch import nn

from memory_assets.errors import InputError
from memory_assets.models.privacy import privacy_spent
from memory_assets.models.recipe import DpSgd, Recipe
from memory_assets.pool import draws, engines, trainer
from memory_assets.pool.convolutions import FusedCnn
from memory_assets.pool.dropout import replace_dropout
from memory_assets.pool.single import Single
from memory_assets.pool.trainer import train_block, train_target

RNG = np.random.default_rng(0)
N, M = 120, 70
FLAT = RNG.normal(size=(N, 12)).astype(np.float32)
TOKENS = RNG.integers(0, 10, (N, 7)).astype(np.float32)
IMAGES = RNG.normal(size=(N, 1, 4, 4)).astype(np.float32)
LABELS = RNG.integers(0, 3, N)
ROWS = np.stack([RNG.permutation(N)[:M] for _ in range(40)])


def recipe(name: str, **changes) -> Recipe:
    return Recipe(f"pool_factories:{name}", **{"epochs": 2, "batch_size": 32, **changes})


def records(name: str) -> np.ndarray:
    images = {"convolution": IMAGES, "plain_convolution": IMAGES}
    return {"Attention": TOKENS, **images}.get(name, FLAT)


def in_torch(recipe: Recipe, x: np.ndarray, index: int) -> dict[str, np.ndarray]:
    """The same run as an ordinary loop with torch's own optimizers and schedule."""
    model = draws.initial_model(recipe, index)
    keys = replace_dropout(model)
    shared: dict[str, Any] = {"lr": recipe.lr, "weight_decay": recipe.weight_decay}
    optimizer: torch.optim.Optimizer
    if recipe.optimizer == "sgd":
        optimizer = torch.optim.SGD(model.parameters(), momentum=recipe.momentum, **shared)
    elif recipe.optimizer == "adam":
        optimizer = torch.optim.Adam(model.parameters(), **shared)
    else:
        optimizer = torch.optim.AdamW(model.parameters(), **shared)
    steps = recipe.epochs * draws.steps_per_epoch(recipe, M)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    rows = ROWS[index : index + 1]
    labels = draws.told_labels(recipe, LABELS, 3, rows, [index])
    torch.manual_seed(draws.dropout_seed(recipe, index))  # for what is no dropout module
    for batch in draws.batches(recipe, rows, labels, [index], len(keys)):
        for i, name in enumerate(keys):
            model.get_buffer(name).copy_(torch.from_numpy(batch.keys[0, i]))
        optimizer.zero_grad()
        seen = torch.from_numpy(x[batch.rows[0]])
        if batch.moves is not None:
            seen = torch.stack([_moved(*pair) for pair in zip(seen, batch.moves[0], strict=True)])
        with torch.autocast("cpu", torch.bfloat16, enabled=recipe.precision == "bfloat16"):
            logits = model(seen)
        nn.functional.cross_entropy(
            logits.float(),
            torch.from_numpy(batch.labels[0]),
            label_smoothing=recipe.label_smoothing,
        ).backward()
        optimizer.step()
        if recipe.schedule == "cosine":
            schedule.step()
    return {name: value.detach().numpy() for name, value in model.state_dict().items()}


def _moved(image: torch.Tensor, moves: np.ndarray) -> torch.Tensor:
    """One image shifted down and right into zeros, pixel by pixel, and then mirrored."""
    down, right, flip = (int(m) for m in moves)
    out = torch.zeros_like(image)
    height, width = image.shape[-2:]
    for i in range(max(0, down), min(height, height + down)):
        for j in range(max(0, right), min(width, width + right)):
            out[..., i, j] = image[..., i - down, j - right]
    return out.flip(-1) if flip else out


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("dense", {"weight_decay": 0.01, "label_smoothing": 0.1}),
        ("dense", {"optimizer": "adamw", "lr": 0.01, "weight_decay": 0.1, "schedule": "cosine"}),
        ("dense", {"optimizer": "adam", "lr": 0.01, "weight_decay": 0.01, "label_noise": 0.3}),
        ("dense", {"model_args": {"dropout": 0.4}, "momentum": 0.0}),
        ("linear", {}),
        ("wrapped_dense", {"model_args": {"dropout": 0.4}, "schedule": "cosine"}),
        ("Residual", {"lr": 0.05}),
        ("Attention", {"lr": 0.05}),
        ("Tied", {"weight_decay": 0.01}),
        ("frozen", {}),
        ("Attention", {"lr": 0.05, "model_args": {"dropout": 0.1}, "optimizer": "adamw"}),
        ("convolution", {"lr": 0.05}),
        ("convolution", {"lr": 0.05, "shift": 1, "flip": True, "label_noise": 0.1}),
        ("plain_convolution", {"lr": 0.05}),
        ("plain_convolution", {"lr": 0.05, "shift": 1, "flip": True, "label_smoothing": 0.1}),
        ("plain_convolution", {"model_args": {"kind": "pooled first"}, "schedule": "cosine"}),
        ("plain_convolution", {"model_args": {"kind": "nested"}, "optimizer": "adam", "lr": 0.01}),
        ("shared", {"model_args": {"kind": "layer"}, "lr": 0.05}),
        ("shared", {"model_args": {"kind": "activation"}, "lr": 0.05}),
        ("Branching", {}),
    ],
)
def test_same_model_as_torch_alone(name: str, changes: dict) -> None:
    r, x = recipe(name, **changes), records(name)
    block = train_block(r, x, LABELS, ROWS[:3], range(3))
    expected = in_torch(r, x, 2)
    assert block.keys() == expected.keys()
    for key, value in expected.items():
        np.testing.assert_allclose(block[key][2], value, atol=2e-5, rtol=1e-4, err_msg=key)


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("dense", {"optimizer": "adamw", "lr": 0.01, "model_args": {"dropout": 0.2}}),
        ("dense", {"dp": DpSgd(), "label_noise": 0.1}),
        ("linear", {"batch_size": 7}),
        ("wrapped_dense", {"model_args": {"dropout": 0.2}}),
        ("wrapped_dense", {"precision": "bfloat16"}),
        ("Residual", {}),
        ("Attention", {"lr": 0.01}),
        ("Attention", {"lr": 0.01, "model_args": {"dropout": 0.1}}),
        ("convolution", {"shift": 1, "flip": True}),
        ("plain_convolution", {"shift": 1, "flip": True}),
    ],
)
def test_block_composition_changes_no_bit(name: str, changes: dict) -> None:
    r, x = recipe(name, **changes), records(name)
    indices = [0, 1, 5, 15, 16, 39]
    whole = train_block(r, x, LABELS, ROWS[indices], indices)
    for chosen in ([2], [4, 0], [5, 3, 1]):
        rows = ROWS[[indices[i] for i in chosen]]
        part = train_block(r, x, LABELS, rows, [indices[i] for i in chosen])
        for key in whole:
            np.testing.assert_array_equal(part[key], whole[key][chosen], err_msg=key)


@settings(max_examples=25)
@given(
    inputs=st.integers(1, 12),
    hidden=st.integers(1, 40),
    batch=st.integers(1, 40),
    models=st.integers(2, 20),
    alone=st.integers(0, 19),
)
@example(inputs=1, hidden=32, batch=13, models=2, alone=0)  # a lone product took another kernel
def test_written_out_path_has_the_same_bits_at_any_shape(
    inputs: int, hidden: int, batch: int, models: int, alone: int
) -> None:
    args = {"inputs": inputs, "hidden": hidden}
    r = recipe("dense", model_args=args, batch_size=batch, epochs=1)
    x = np.ascontiguousarray(FLAT[:, :inputs])
    alone %= models
    whole = train_block(r, x, LABELS, ROWS[:models, :50], range(models))
    single = train_block(r, x, LABELS, ROWS[[alone], :50], [alone])
    for key in whole:
        np.testing.assert_array_equal(single[key][0], whole[key][alone], err_msg=key)


def test_paths_agree_with_and_without_privacy() -> None:
    for changes in ({}, {"dp": DpSgd(0.8, 0.5)}, {"model_args": {"dropout": 0.3}}):
        written = train_block(recipe("dense", **changes), FLAT, LABELS, ROWS[:2], range(2))
        stacked = train_block(recipe("wrapped_dense", **changes), FLAT, LABELS, ROWS[:2], range(2))
        for key, value in written.items():
            np.testing.assert_allclose(stacked[f"inner.{key}"], value, atol=2e-6, err_msg=str(key))


def test_private_gradient_is_the_clipped_mean() -> None:
    """One noiseless full-batch step, against per-record gradients taken one at a time."""
    bound, rows = 0.05, ROWS[:1, :20]
    r = recipe("dense", epochs=1, batch_size=20, momentum=0.0, lr=1.0, dp=DpSgd(0.0, bound), seed=5)
    model = draws.initial_model(r, 0)
    start = {n: p.detach().clone() for n, p in model.named_parameters()}
    total = {n: torch.zeros_like(p) for n, p in start.items()}
    for row in rows[0]:
        model.zero_grad()
        loss = nn.functional.cross_entropy(
            model(torch.from_numpy(FLAT[row : row + 1])), torch.from_numpy(LABELS[row : row + 1])
        )
        loss.backward()
        grads = {n: p.grad for n, p in model.named_parameters() if p.grad is not None}
        norm = torch.sqrt(sum((g**2).sum() for g in grads.values()))  # type: ignore[arg-type]
        assert norm > bound  # the test is about clipping
        for n, g in grads.items():
            total[n] += g * bound / norm / 20
    trained = train_block(r, FLAT, LABELS, rows, [0])
    for n, value in trained.items():
        np.testing.assert_allclose(value[0], (start[n] - total[n]).numpy(), atol=1e-6)


def test_noise_of_private_training_has_the_stated_size() -> None:
    r = recipe("dense", epochs=1, batch_size=M, momentum=0.0, lr=1.0, dp=DpSgd(2.0, 0.5))
    quiet = replace(r, dp=DpSgd(0.0, 0.5))
    noisy, plain = (train_block(q, FLAT, LABELS, ROWS[:8], range(8)) for q in (r, quiet))
    noise = np.concatenate([(noisy[k] - plain[k]).ravel() for k in noisy])
    assert noise.std() == pytest.approx(2.0 * 0.5 / M, rel=0.05)


def test_draws_depend_on_seed_and_index_only() -> None:
    r = recipe("dense")
    same_rows = np.broadcast_to(ROWS[0], (2, M))
    a = train_block(r, FLAT, LABELS, same_rows, [3, 4])
    b = train_block(replace(r, seed=1), FLAT, LABELS, same_rows, [3, 4])
    weight = next(iter(a))
    assert not np.array_equal(a[weight][0], a[weight][1])
    assert not np.array_equal(a[weight][0], b[weight][0])
    torch.manual_seed(123)
    np.testing.assert_array_equal(
        a[weight], train_block(r, FLAT, LABELS, same_rows, [3, 4])[weight]
    )


def test_label_noise_replaces_the_stated_share_with_other_classes() -> None:
    r = recipe("dense", label_noise=0.3)
    y = RNG.integers(0, 3, 20_000)
    rows = np.arange(20_000)[None]
    told = draws.told_labels(r, y, 3, rows, [1])[0]
    assert (told != y).mean() == pytest.approx(0.3, abs=0.015)
    np.testing.assert_array_equal(told[::7], draws.told_labels(r, y, 3, rows[:, ::7], [1])[0])


def test_accounted_privacy_is_that_of_the_batches() -> None:
    pytest.importorskip("opacus")
    r = recipe("dense", dp=DpSgd(), epochs=3, batch_size=32)
    rows = np.arange(M)[None]
    spent = privacy_spent(r, M)
    assert spent.steps == len(list(draws.batches(r, rows, rows, [0])))
    assert spent.sampling_rate == draws.sampling_rate(r, M)


def test_poisson_batches_take_each_record_at_the_stated_rate() -> None:
    r = recipe("dense", dp=DpSgd(), epochs=200, batch_size=14)
    rows = np.arange(M)[None]
    counts = np.zeros(M)
    for batch in draws.batches(r, rows, rows, [0]):
        assert batch.taken is not None
        np.add.at(counts, batch.rows[0][batch.taken[0]], 1)
    assert counts.mean() / 1000 == pytest.approx(0.2, abs=0.01)
    assert counts.std() == pytest.approx(np.sqrt(1000 * 0.2 * 0.8), rel=0.3)


def test_module_that_cannot_be_stacked_says_why(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        train_block(recipe("Branching"), FLAT, LABELS, ROWS[:1], [0])
    assert "one model at a time" in caplog.text
    assert "vmap" in caplog.text


@pytest.mark.parametrize("error", ["AssertionError", "IndexError", "KeyError", "ZeroDivisionError"])
def test_whatever_a_module_raises_under_vmap_it_trains_alone(
    error: str, caplog: pytest.LogCaptureFixture
) -> None:
    r = recipe("Untransformed", model_args={"error": error})
    with caplog.at_level(logging.WARNING):
        block = train_block(r, FLAT, LABELS, ROWS[:1], [0])
    assert "one model at a time, not stacked" in caplog.text
    assert "knows no vmap" in caplog.text
    for name, value in in_torch(r, FLAT, 0).items():
        np.testing.assert_allclose(block[name][0], value, atol=1e-5, err_msg=name)
    with pytest.raises(InputError, match=r"gives no per-record gradients \(.*knows no vmap"):
        train_block(replace(r, dp=DpSgd()), FLAT, LABELS, ROWS[:1], [0])


@pytest.mark.parametrize(("batch_size", "other"), [(M - 1, M), (23, 24), (1, 2)])
def test_a_last_batch_of_one_is_refused_where_the_model_takes_two(
    batch_size: int, other: int
) -> None:
    """As torch's own loop, whose words are given; a model without batch statistics takes it."""
    r = recipe("Residual", batch_size=batch_size, epochs=1)
    with pytest.raises(ValueError, match="more than 1 value per channel"):
        in_torch(r, FLAT, 0)
    said = rf"recipe\.batch_size: {batch_size} leaves a last batch of one of {M} records, .* "
    said += rf"more than 1 value per channel .* such as {other}"
    with pytest.raises(InputError, match=said):
        train_block(r, FLAT, LABELS, ROWS[:1], [0])
    with pytest.raises(InputError, match="last batch of one"):
        train_target(r, FLAT, LABELS, ROWS[0])
    train_block(replace(r, batch_size=other), FLAT, LABELS, ROWS[:1], [0])
    for name in ("wrapped_dense", "dense"):
        train_block(recipe(name, batch_size=batch_size, epochs=1), FLAT, LABELS, ROWS[:1], [0])


def test_batch_normalization_of_images_takes_a_last_batch_of_one() -> None:
    """It has a value for each pixel."""
    train_block(recipe("convolution", batch_size=23, epochs=1), IMAGES, LABELS, ROWS[:1], [0])


def test_target_is_trained_alone_and_apart_from_the_pool() -> None:
    r = recipe("dense", epochs=30)
    target = train_target(r, FLAT, LABELS, ROWS[0])
    again = train_target(r, FLAT, LABELS, ROWS[0], draw=1)
    shadow = train_block(r, FLAT, LABELS, ROWS[:1], [0])
    weight = "1.weight"
    assert target[weight].shape == shadow[weight][0].shape
    assert not np.array_equal(target[weight], again[weight])
    assert not np.array_equal(target[weight], shadow[weight][0])


def test_memory_that_is_too_small_halves_the_block(monkeypatch: pytest.MonkeyPatch) -> None:
    real, sizes = trainer._train, []

    def small_device(job, index, indices, lanes):
        sizes.append(len(lanes))
        if len(lanes) > 2:
            raise torch.cuda.OutOfMemoryError
        return real(job, index, indices, lanes)

    r = recipe("dense")
    expected = train_block(r, FLAT, LABELS, ROWS[:8], range(8))
    monkeypatch.setattr(trainer, "_train", small_device)
    halved = train_block(r, FLAT, LABELS, ROWS[:8], range(8))
    assert sizes == [8, 4, 2, 2, 4, 2, 2]
    np.testing.assert_array_equal(halved["1.weight"], expected["1.weight"])

    monkeypatch.setattr(
        trainer, "_train", lambda *_: (_ for _ in ()).throw(torch.cuda.OutOfMemoryError)
    )
    with pytest.raises(InputError, match="does not hold one model"):
        train_block(r, FLAT, LABELS, ROWS[:4], range(4))


@pytest.mark.parametrize(
    ("changes", "x", "y", "message"),
    [
        ({"model": "pool_factories:missing"}, FLAT, LABELS, "missing"),
        ({"model": "pool_factories:not_a_module"}, FLAT, LABELS, "expected nn.Module"),
        ({"model_args": {"width": 3}}, FLAT, LABELS, "width"),
        ({}, FLAT[:, :5], LABELS, r"cannot take records of shape \[5\]"),
        ({}, FLAT, LABELS + 1, "3 logits, but labels run from 1 to 3"),
        ({"shift": 1}, FLAT, LABELS, "are no images"),
        ({"model": "pool_factories:Residual", "dp": DpSgd()}, FLAT, LABELS, "batch normalization"),
        ({"model": "pool_factories:Branching", "dp": DpSgd()}, FLAT, LABELS, "per-record"),
    ],
)
def test_refused(changes: dict, x: np.ndarray, y: np.ndarray, message: str) -> None:
    with pytest.raises(InputError, match=message):
        train_block(replace(recipe("dense"), **changes), x, y, ROWS[:1], [0])


def test_device_that_is_not_there() -> None:
    if torch.cuda.is_available():
        pytest.skip("there is a device")
    with pytest.raises(InputError, match="no CUDA device"):
        train_block(recipe("dense"), FLAT, LABELS, ROWS[:1], [0], "cuda")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("name", ["dense", "Residual", "Attention", "convolution"])
def test_cuda_agrees_with_the_cpu(name: str) -> None:
    r, x = recipe(name, lr=0.05), records(name)
    host, device = (train_block(r, x, LABELS, ROWS[:3], range(3), d) for d in ("cpu", "cuda"))
    for key, value in host.items():
        np.testing.assert_allclose(device[key], value, atol=2e-3, err_msg=key)
    again = train_block(r, x, LABELS, ROWS[:3], range(3), "cuda")
    for key, value in device.items():
        np.testing.assert_array_equal(again[key], value, err_msg=key)


def test_memory_mapped_records_train_without_a_warning(
    tmp_path, recwarn: pytest.WarningsRecorder
) -> None:
    np.save(tmp_path / "x.npy", FLAT)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    train_block(recipe("dense"), mapped, LABELS, ROWS[:1], [0])
    assert not recwarn.list


def test_fast_path_is_taken_where_it_should_be() -> None:
    def layers(name: str, **args):
        return engines.prepare(recipe(name, model_args=args), FLAT, LABELS, "cpu", M).layers

    assert layers("dense", dropout=0.1) is not None
    assert layers("shared", kind="activation") is not None
    assert layers("wrapped_dense") is None
    assert layers("shared", kind="layer") is None

    def engine(name: str, **changes):
        job = engines.prepare(recipe(name, **changes), IMAGES, LABELS, "cpu", M)
        return type(engines.make_models(job, [0]).engine)

    for kind in ("usual", "pooled first", "nested"):
        assert engine("plain_convolution", model_args={"kind": kind}) is FusedCnn
    assert engine("plain_convolution", precision="bfloat16") is Single
    assert engine("convolution") is Single


def test_equal_pixels_pass_their_gradient_as_in_torch() -> None:
    """Every window of a constant image is a tie: max pooling follows its first pixel."""
    images = np.repeat(np.arange(N, dtype=np.float32) % 3, 16).reshape(N, 1, 4, 4)
    r = recipe("plain_convolution", lr=0.05)
    block = train_block(r, images, LABELS, ROWS[:1], [0])
    for key, value in in_torch(r, images, 0).items():
        np.testing.assert_allclose(block[key][0], value, atol=2e-5, rtol=1e-4, err_msg=key)
