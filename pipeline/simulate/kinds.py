"""The kinds of catalogue models: the raw category that an annotator would type, its NYU40 id
and the role it plays in a room.

Names are those of the catalogue; an item `#name` means the one model with that id, and goes
first. What is not listed (vehicles, trees, sockets, animals, cutlery) does not belong in a room;
what the catalogue files under the exterior does only where it is listed by id.
"""

from dataclasses import dataclass

_TABLE = """
bed               |  4 | bed           | Bed; Iron bed; Captain's bed; Hospital bed; Day bed; Futon; #bedWithTexture
kid's bed         |  4 | small bed     | Child bed; Bunk bed; Mezzanine bed
crib              |  4 | small bed     | Crib; Baby bed
chair             |  5 | chair         | Chair; Chair with cushion; Folding chair; Oak chair; Osaka chair; Plastic chair; #cafe-chair; #silla_teca
chair             |  5 | small chair   | Child chair; Children chair; Ryokan chair
office chair      |  5 | office chair  | #office-chair; #office_chair; #kids_desk_chair; #armchair@Blend Swap CC-0; Class seat
armchair          |  5 | armchair      | Armchair; Modern armchair; Winchester armchair; #rattanArmchair; #ext_chair; Armchair ottoman; Puff
stool             | 40 | stool         | Stool; Bar stool; Bar chair
couch             |  6 | sofa          | Sofa; Couch; Burlap sofa; Clear sofa; Futon couch; Sofa 2 seats; Sofa 3 seats; Winchester sofa; #rattanSofa; Convertible sofa BZ
couch             |  6 | corner sofa   | Corner sofa; #couch2
table             |  7 | dining table  | Table; Black table; Glass table; Oak table; Round table; Table on trestles; Table with tablecloth; Folding table; Wooden alder table; Wooden table; Wooden teak table; #cafe-table
coffee table      |  7 | coffee table  | Coffee table; #rattanTable; #living_room_table; Children table
desk              | 14 | desk          | Desk; Desk table; Wooden desk; Technical table; #desk_table; #glass_table_office
bookshelf         | 10 | bookshelf     | #bookcase@Blend Swap CC-BY; Full bookcase; #kids_shelves; #utility-shelving; Vertical shelves; #dining_room
cabinet           |  3 | cabinet       | Cupboard; Filing cabinet; Chest; Safe; #office_furniture1; #shelves; #office_box; #box_room; Television cabinet; Dresser with drawers; #bookcase@Blend Swap CC-0
wardrobe          | 39 | wardrobe      | Wardrobe
kitchen cabinet   |  3 | lower cabinet | Lower cabinet; Drawers cabinet; Small lower cabinet
kitchen cabinet   |  3 | high cabinet  | High cabinet
kitchen cabinet   |  3 | wall cabinet  | Upper cabinet; Small upper cabinet; Glass door cabinet; Upper shelves cabinet
counter           | 12 | counter       | Island; Island extension
refrigerator      | 24 | refrigerator  | Fridge; Large fridge; Refrigerator
sink              | 34 | sink          | Washbasin; Small lavatory
toilet            | 33 | toilet        | Toilets unit
bathtub           | 36 | bathtub       | Bath; Corner bathtub; Island bath
door              |  8 | door          | Door; Double door; Double door with panes; Exterior door; Glass door; Screen door
window            |  9 | window        | Double French window 3 panes; Double French window small panes; Double arched window; Double window 3 panes; Double window 4 panes; Double window with large pane; Double-hung window; Sliding window; Turn window
curtain           | 16 | curtain       | Curtain
shower curtain    | 28 | shower curtain | Shower curtain
picture           | 11 | photo frame   | Frame Chambord; Frame Hôi An
night stand       | 32 | night stand   | Bedside table
dresser           | 17 | dresser       | Dressing table; Changing table
tv stand          | 39 | tv stand      | TV stand
bench             | 39 | bench         | Bench; Piano bench
piano             | 39 | other         | Upright piano
radiator          | 39 | radiator      | Radiator
fireplace         | 39 | other         | Fireplace
washing machine   | 39 | appliance     | Clothes washing machine; Washing machine; Dryer machine
stove             | 39 | stove         | Large stove; Propane stove; Double oven
trash can         | 39 | trash can     | Dustbin; Bullet trash can; Residential trashcan; Recycling bin
clothes rack      | 39 | other         | Clothes rack; Clothes horse; Screen
water cooler      | 39 | other         | Water cooler; Indoor bike; Table football; Football table
laundry basket    | 39 | other         | Clothes basket; Shopping basket
ladder            | 39 | other         | Small step ladder; Step ladder
television        | 25 | television    | TV; TV 16:9
television        | 25 | wall tv       | Wall flat TV
lamp              | 35 | table lamp    | Desk lamp; Little lamp; #lamp; #table_lamp; Japanese lantern; Camping lamp; #livingroom_lamp1; Pedestal vase lamp
lamp              | 35 | floor lamp    | #living_lamp
lamp              | 35 | ceiling lamp  | Ceiling lamp; Hanging light; #lamp2; Fluorescent light; Pendant lamp; Chandelier lamp
rug               | 20 | rug           | Oriental rug; Round carpet; Bathmat; Doormat
towel             | 27 | towel rack    | Towel rack
books             | 23 | table thing   | Book; Newspaper
box               | 29 | floor thing   | Box; Cardboard box; Open cardboard box; Crate; Trunck; Gift
bag               | 37 | floor thing   | Backpack; Suitcase; Handbag; Briefcase
clothes           | 21 | floor thing   | Folded clothes; Sneakers; Slippers; Woman shoes
person            | 31 | person        | Female; Male; Boy; Girl
plant             | 40 | floor plant   | Decorative plant; Ficus; Indoor plant; Plant; Spathiphyllum; Yucca
plant             | 40 | table plant   | Bamboo; Bonsai tree; Cactus; Flowers; Little plant; Orchids; Spider plant; Succulent plant; Tulips; White lily
laptop            | 40 | desk thing    | Laptop; Apple iBook
computer          | 40 | desk thing    | Apple iMac 1998; Apple iMac 2004
printer           | 40 | desk thing    | Inkjet printer and scanner
telephone         | 40 | desk thing    | Phone; Wireless phone
pen holder        | 40 | desk thing    | Penbox; Letter tray
microwave         | 40 | kitchen thing | Microwave; Small oven
kettle            | 40 | kitchen thing | Boiler; Espresso kettle; Teapot
coffee machine    | 40 | kitchen thing | Coffee machine; Coffee maker; Coffee brewer
toaster           | 40 | kitchen thing | Toaster; Blender; Mixer; Bread box
bottle            | 40 | kitchen thing | Wine bottle; Milk; Oil servers; Knife stand; Utensils pot
plate             | 40 | table thing   | Plate, glass and cutlery; Plate, glasses and cutlery
bowl              | 40 | table thing   | Bowl; Bowl with fruits; Bowl with salad; Apples; Birthday cake
vase              | 40 | table thing   | Vase; Old jar
radio             | 40 | table thing   | Radio; Mini stereo; MP3 station; Stereo amplifier
speaker           | 40 | table thing   | Speaker
fan               | 40 | table thing   | Table fan; Rigged fan
toy               | 40 | floor thing   | Teddy bear; Doll; Doll house; Rocking horse; Toy train; Xylophone
ball              | 40 | floor thing   | Basketball; Soccer ball
guitar            | 40 | floor thing   | Electric guitar; Extinguisher
soap              | 40 | bath thing    | Soap; Bottle; Flacon; Sponge; Medicine bottle; Cosmetics pot
"""  # noqa: E501 (a table is easier to read in one line a row)


@dataclass(frozen=True)
class Kind:
    """The kind of a model."""

    name: str  # raw category
    nyu40: int
    role: str  # the name by which rooms request it


def _parse(table: str) -> dict[str, Kind]:
    kinds: dict[str, Kind] = {}
    for line in table.strip().splitlines():
        name, nyu40, role, models = (column.strip() for column in line.split("|"))
        for model in models.split("; "):
            kinds.setdefault(model.strip(), Kind(name, int(nyu40), role))
    return kinds


_KINDS = _parse(_TABLE)


def kind_of(model_id: str, name: str, category: str) -> Kind | None:
    """The kind of a catalogue model, None if it is not used in rooms.

    `model_id` is "catalogue#model"; `name` and `category` are the catalogue's.
    """
    catalogue, short = model_id.split("#")
    keys = [f"#{short}@{catalogue}", f"#{short}"]
    if category not in ("Exterior", "Vehicles", "Staircases"):
        keys.append(name)
    return next((_KINDS[key] for key in keys if key in _KINDS), None)
