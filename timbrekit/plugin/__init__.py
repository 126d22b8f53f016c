"""The behaviour of TorchDrum, the plug-in: its synthesiser as it runs, rehearsal, primer, errors as played."""
