"""The whole instrument as one TorchScript file for nn~, in Max and Pure Data."""
