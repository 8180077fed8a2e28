"""Catalogue models as meshes: OBJ files with z up, scaled, and with a limited number of faces."""

import io
from collections.abc import Mapping

import numpy as np
import trimesh
from numpy.typing import NDArray
from PIL import Image
from trimesh.resolvers import ZipResolver

from pipeline.simulate.world import Material, Shape, join

_ENOUGH_FACES = 5_000
_TEXTURE_SIDE = 256
GLASS = Material(np.array([0.75, 0.82, 0.85], np.float32))  # of all models, compared by `is`


def read_obj(
    content: Mapping[str, bytes],
    member: str,
    size: tuple[float, float, float],
    rotation: NDArray[np.float64],
) -> Shape | None:
    """The OBJ `member` of `content` (name to bytes, with its MTL and textures) as a shape.

    `size` is width, depth, height in metres, `rotation` (3, 3) turns the OBJ's axes (y up, front
    along +z) first. None where the model cannot be read.
    """
    files = {name: io.BytesIO(data) for name, data in content.items() if data}
    resolver = ZipResolver(files, namespace=member.rsplit("/", 1)[0])
    try:
        scene = trimesh.load_scene(
            io.BytesIO(content[member]), file_type="obj", resolver=resolver, process=False
        )
        shapes = [_part(mesh) for mesh in scene.geometry.values() if len(mesh.faces)]
    except (ValueError, KeyError, IndexError, OSError):
        return None
    if not shapes:
        return None
    whole = join(shapes)
    x, y, z = (whole.vertices.astype(np.float64) @ rotation.T).T
    vertices = np.stack([x, -z, y], 1)
    low, high = vertices.min(0), vertices.max(0)
    vertices = (vertices - (low + high) / 2) / np.maximum(high - low, 1e-9) * size
    vertices[:, 2] += size[2] / 2
    shape = Shape(
        vertices.astype(np.float32), whole.faces, whole.uv, whole.material, whole.materials
    )
    return with_fewer_faces(shape, _ENOUGH_FACES)


def _part(mesh: trimesh.Trimesh) -> Shape:
    faces = np.asarray(mesh.faces, np.int32)
    material, uv = _material(mesh), getattr(mesh.visual, "uv", None)
    if uv is None or len(uv) != len(mesh.vertices):
        uv = np.zeros((len(mesh.vertices), 2))
    return Shape(
        np.asarray(mesh.vertices, np.float32),
        faces,
        np.nan_to_num(np.asarray(uv, np.float32))[faces],
        np.zeros(len(faces), np.int32),
        (material,),
    )


def _material(mesh: trimesh.Trimesh) -> Material:
    source = getattr(mesh.visual, "material", None)
    if source is None:
        return Material(np.full(3, 0.6, np.float32))
    opaque = float(np.ravel(source.kwargs.get("d", [1.0]))[0])
    if opaque < 0.7:
        return GLASS
    if source.image is not None:
        return Material(np.full(3, 0.6, np.float32), _texture(source.image))
    return Material((np.asarray(source.diffuse[:3]) / 255).astype(np.float32))


def _texture(image: Image.Image) -> NDArray[np.uint8]:
    """The image at most 256 pixels wide and high, holes filled with its mean colour."""
    image = image.convert("RGBA")
    image.thumbnail((_TEXTURE_SIDE, _TEXTURE_SIDE))
    pixels = np.asarray(image)
    hole = pixels[..., 3] < 128
    color = pixels[..., :3].copy()
    if hole.any() and not hole.all():
        color[hole] = color[~hole].mean(0).astype(np.uint8)
    return color


def with_fewer_faces(shape: Shape, target: int) -> Shape:
    """Vertices merged in ever larger cells until at most `target` faces are left.

    Clustering keeps each face's own texture coordinates, which quadric decimation does not.
    """
    extent = float(np.ptp(shape.vertices, axis=0).max())
    cells = 256.0
    result = shape
    while len(result.faces) > target and cells > 24:
        result = _clustered(shape, extent / cells)
        cells /= 1.25
    return result


def _clustered(shape: Shape, cell: float) -> Shape:
    key = np.floor((shape.vertices - shape.vertices.min(0)) / cell).astype(np.int64)
    flat = (key[:, 0] * 100_003 + key[:, 1]) * 100_003 + key[:, 2]
    _, cluster, count = np.unique(flat, return_inverse=True, return_counts=True)
    vertices = np.stack([np.bincount(cluster, shape.vertices[:, i]) for i in range(3)], 1)
    faces = cluster[shape.faces]
    ordered = np.sort(faces, axis=1)
    kept = np.flatnonzero((ordered[:, 0] != ordered[:, 1]) & (ordered[:, 1] != ordered[:, 2]))
    # Of identical faces the first is kept.
    one, two, three = ordered[kept].T
    same = (one * len(vertices) + two) * len(vertices) + three
    kept = kept[np.sort(np.unique(same, return_index=True)[1])]
    return Shape(
        (vertices / count[:, None]).astype(np.float32),
        faces[kept].astype(np.int32),
        shape.uv[kept],
        shape.material[kept],
        shape.materials,
    )
