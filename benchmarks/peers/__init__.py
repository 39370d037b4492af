"""Implicit codecs of others, written for this repository from their papers, to measure ours against.

    nerv      NeRV, arXiv 2110.13903, as HNeRV's paper sets it up for its comparisons
    hnerv     HNeRV, arXiv 2304.02633
    blocks    what the two share: strides, upscaling blocks, head
    shape     what a network is of, and the grid that suits a size of picture
    models    the networks by name, and the largest one for a number of parameters
    training  frames to a trained network, within a time or a number of epochs
    packing   a trained network to a file and back
    coding    a y4m to such a file, and such a file to a y4m
    published the check against the figures of their papers

`python -m benchmarks.peers --help` is their command line; `benchmarks.rd` runs it, in processes of its own.
"""
