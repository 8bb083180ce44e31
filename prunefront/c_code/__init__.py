"""A graph as C99 without dependencies: direct sparse convolution and sparse dense layers."""
