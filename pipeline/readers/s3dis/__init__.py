"""S3DIS v1.2 with the images of 2D-3D-S: raw reader, one small module per kind of file."""
