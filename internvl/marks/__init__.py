"""Numbers and contours on the instances of pictures and frames, which texts refer to as [1], [2] and so on."""
