"""The paper's benchmarks as their authors ship them."""
