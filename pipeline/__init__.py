"""Raw RGB-D scans -> stores of voxels, camera projections and cached dense CLIP embeddings."""
