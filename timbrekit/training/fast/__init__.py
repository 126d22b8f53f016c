"""What makes training fast and nothing else: a second process, CUDA graphs, small networks written out by hand."""
