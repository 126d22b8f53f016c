"""Sing it: minutes of one instrument become an instrument that pitch and loudness play.

Pitch and loudness of the input drive a decoder, and the decoder a harmonic oscillator, filtered noise and a room
(DDSP, Engel et al., ICLR 2020). Everything is causal and works at 48 kHz in hops of 256 samples.
"""
