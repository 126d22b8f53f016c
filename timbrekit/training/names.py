"""Names that the command line offers, where they can be read without loading torch."""

MODEL_NAMES = ("mlp", "mlp-large", "linear", "mlp-plain")  # of ``timbrekit.mapping.build_network``
RECIPES = ("timbrekit", "published")
DEFAULT_MODELS = {"timbrekit": "mlp", "published": "mlp"}  # the network of each recipe
LISTENERS = (TORCHDRUM, MEL) = ("torchdrum", "mel")
DEVICES = ("auto", "cpu", "cuda", "mps")
