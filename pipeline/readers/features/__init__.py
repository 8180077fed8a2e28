"""Features made elsewhere (OpenSeg, LSeg, DINOv3's text tower, ...) instead of an image tower.

`embeddings: {features: FOLDER}` in the config names a folder of

    FOLDER/<scan>/<frame id>.npy    (h, w, d) float16 or float32: one vector for each cell of a grid
                                    that covers the whole colour image, its first row at the top
    FOLDER/text.npz                 `embedding` (K, d) float, `classes` (K,) text: a row and a name
                                    for each class, in any order; other classes may be there too

A frame is `<frame id>.zarr` instead if it is an array of zarr's format 3 that has all its chunks
(zarr leaves out chunks of zeros: `config={"write_empty_chunks": True}` writes them). Cells may be
pixels or patches of any size, the same in all frames of a scan. There must be a file for each frame
that the run takes (`frames: every`); others may be beside them. Vectors and text embeddings are
scaled to unit length; a vector of zeros, where nothing is known, stays, and counts for nothing but
the weight of its view. No pickle is read: names of classes are an array of text, as
`np.array(names)` is.

The files of a scan are hashed once, and its entry is named by their content.
"""
