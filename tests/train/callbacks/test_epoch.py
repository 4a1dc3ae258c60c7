"""The curve of passes over the data."""

from types import SimpleNamespace

from train.callbacks.epoch import EpochCallback


def test_epoch_is_the_share_of_the_data_that_the_steps_took() -> None:
    logged = []
    module = SimpleNamespace(log=lambda name, value: logged.append((name, value)))
    callback = EpochCallback(16 / 64)
    for step in (0, 1, 6):
        callback.on_train_batch_start(SimpleNamespace(global_step=step), module, {}, step)
    assert logged == [("epoch", 0.0), ("epoch", 0.25), ("epoch", 1.5)]
