"""The engine `fit`: trains one model after another by `model.fit`."""
