"""The benchmark, `invoke bench` and `invoke growth`: everything side by side, on one machine, in turn."""
