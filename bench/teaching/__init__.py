"""What `bench.training` is made of: the lessons, the notebook that is the peer, and what is measured of ours."""
