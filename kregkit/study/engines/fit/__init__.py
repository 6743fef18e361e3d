"""The engine `fit`: one model after another, by `model.fit`."""
