"""The NYU40 classes: names as in the ScanNet label map, colours of its label meshes.

Source: the public ScanNet code (BenchmarkScripts/util.py) and its README.
"""

from typing import NamedTuple


class Nyu40Class(NamedTuple):
    """One class; its id is its index in `NYU40`."""

    name: str
    color: tuple[int, int, int]


NYU40 = (
    Nyu40Class("unannotated", (0, 0, 0)),
    Nyu40Class("wall", (174, 199, 232)),
    Nyu40Class("floor", (152, 223, 138)),
    Nyu40Class("cabinet", (31, 119, 180)),
    Nyu40Class("bed", (255, 187, 120)),
    Nyu40Class("chair", (188, 189, 34)),
    Nyu40Class("sofa", (140, 86, 75)),
    Nyu40Class("table", (255, 152, 150)),
    Nyu40Class("door", (214, 39, 40)),
    Nyu40Class("window", (197, 176, 213)),
    Nyu40Class("bookshelf", (148, 103, 189)),
    Nyu40Class("picture", (196, 156, 148)),
    Nyu40Class("counter", (23, 190, 207)),
    Nyu40Class("blinds", (178, 76, 76)),
    Nyu40Class("desk", (247, 182, 210)),
    Nyu40Class("shelves", (66, 188, 102)),
    Nyu40Class("curtain", (219, 219, 141)),
    Nyu40Class("dresser", (140, 57, 197)),
    Nyu40Class("pillow", (202, 185, 52)),
    Nyu40Class("mirror", (51, 176, 203)),
    Nyu40Class("floor mat", (200, 54, 131)),
    Nyu40Class("clothes", (92, 193, 61)),
    Nyu40Class("ceiling", (78, 71, 183)),
    Nyu40Class("books", (172, 114, 82)),
    Nyu40Class("refrigerator", (255, 127, 14)),
    Nyu40Class("television", (91, 163, 138)),
    Nyu40Class("paper", (153, 98, 156)),
    Nyu40Class("towel", (140, 153, 101)),
    Nyu40Class("shower curtain", (158, 218, 229)),
    Nyu40Class("box", (100, 125, 154)),
    Nyu40Class("whiteboard", (178, 127, 135)),
    Nyu40Class("person", (120, 185, 128)),
    Nyu40Class("night stand", (146, 111, 194)),
    Nyu40Class("toilet", (44, 160, 44)),
    Nyu40Class("sink", (112, 128, 144)),
    Nyu40Class("lamp", (96, 207, 209)),
    Nyu40Class("bathtub", (227, 119, 194)),
    Nyu40Class("bag", (213, 92, 176)),
    Nyu40Class("otherstructure", (94, 106, 211)),
    Nyu40Class("otherfurniture", (82, 84, 163)),
    Nyu40Class("otherprop", (100, 85, 144)),
)
