"""The files that the how-to guides speak of, as small as they can be."""

import json
import random
import shutil
import zipfile

from PIL import Image, ImageDraw

from tests.tsukiji.ingest.importers import samples

GROUNDS = {"cat": (30, 70, 160), "dog": (220, 160, 40), "other": (90, 120, 90)}
EACH = 12


def draw(path, kind, seed, size=64):
    """Draw a picture unlike any other: shapes at random on the ground of its kind."""
    chance = random.Random(f"{kind} {seed}")
    picture = Image.new("RGB", (size, size), GROUNDS[kind])
    pen = ImageDraw.Draw(picture)
    for _ in range(14):
        left, upper = chance.randrange(size), chance.randrange(size)
        box = (left, upper, left + chance.randrange(4, 24), upper + chance.randrange(4, 24))
        shape = pen.ellipse if kind == "cat" else pen.rectangle
        shape(box, fill=tuple(min(255, max(0, part + chance.randrange(-70, 70))) for part in GROUNDS[kind]))
    path.parent.mkdir(parents=True, exist_ok=True)
    picture.save(path)


def write_pets(folder):
    """Class folders, with two pictures in the wrong one and a copy of another."""
    for kind in ("cat", "dog"):
        for number in range(EACH):
            draw(folder / "pets" / kind / f"{number:02}.png", kind, number)
    for number in range(2):
        draw(folder / "pets" / "cat" / f"wrong-{number}.png", "dog", f"wrong {number}")
    with Image.open(folder / "pets" / "cat" / "05.png") as picture:
        picture.resize((128, 128)).save(folder / "pets" / "cat" / "copy.jpg", quality=90)


def write_new(folder):
    for number in range(6):
        draw(folder / "new" / f"{number:02}.png", ("cat", "dog")[number % 2], f"new {number}")
        draw(folder / "other-things" / f"{number:02}.png", "other", number)


def write_insects(folder):
    """Pictures of one kind or both, and some of neither, in a table."""
    rows = ["file,label"]
    for number in range(18):
        labels = (["ant"], ["bee"], ["ant", "bee"])[number % 3]
        draw(folder / "insects" / f"{number:02}.png", "cat" if "ant" in labels else "dog", f"insect {number}")
        rows.append(f"{number:02}.png,{'|'.join(labels)}")
    draw(folder / "insects" / "none.png", "other", "insect")
    (folder / "insects.csv").write_text("\n".join(rows) + "\n", "utf-8")


def write_exports(folder):
    """What other tools export, each with its pictures."""
    draw_all(folder / "azure", [f"{image['id']}.jpg" for image in json.loads(samples.azure())])
    (folder / "azure" / "images.json").write_bytes(samples.azure())
    for name, table in {
        "vertex": ("data-00001-of-00001.jsonl", samples.vertex_jsonl()),
        "rekognition": ("train.manifest", samples.rekognition()),
        "coco": ("instances.json", samples.coco()),
    }.items():
        draw_all(folder / name, samples.PETS)
        (folder / name / table[0]).write_bytes(table[1])
    draw_all(folder / "photos", [f"my photo {number}.jpg" for number in range(3)])
    (folder / "project-3.json").write_bytes(samples.label_studio()["project.json"])
    draw_all(folder / "fiftyone" / "data", ["1.jpg", "2.jpg"])
    labels = {"classes": ["cat", "dog"], "labels": {"1": 0, "2": 1}}
    (folder / "fiftyone" / "labels.json").write_text(json.dumps(labels), "utf-8")
    draw_all(folder / "huggingface" / "train", ["1.jpg", "2.jpg"])
    (folder / "huggingface" / "train" / "metadata.csv").write_bytes(samples.imagefolder_csv())
    draw_all(folder / "roboflow" / "train", ["1.jpg", "2.jpg"])
    (folder / "roboflow" / "train" / "_classes.csv").write_text(
        "filename, ant, bee\n1.jpg, 1, 1\n2.jpg, 0, 1\n", "utf-8"
    )
    shutil.make_archive(str(folder / "roboflow"), "zip", folder / "roboflow")
    draw_all(folder / "images", ["1.jpg", "2.jpg"])
    (folder / "train.csv").write_text("id,breed\n1,cat\n2,dog\n", "utf-8")
    (folder / "planet.csv").write_text("file,label\n1.jpg,haze water\n2.jpg,haze\n", "utf-8")
    (folder / "columns.csv").write_text("file,ant,bee\n1.jpg,1,1\n2.jpg,0,1\n", "utf-8")
    with zipfile.ZipFile(folder / "cat-samples.zip", "w") as archive:
        archive.write(folder / "images" / "1.jpg", "0.jpg")


def draw_all(folder, names):
    for number, name in enumerate(names):
        draw(folder / name, "cat", f"{folder.name} {number}")
