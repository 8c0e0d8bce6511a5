"""White-box attacks by name, cheapest first. A new one is a file and a line here, and its name in
`eval.attacks.transfer.ON_A_TWIN`, which is read where there is no PyTorch."""

from __future__ import annotations

from collections.abc import Mapping

from eval.whitebox.attacks.apgd import ApgdCe, ApgdDlr, ApgdDlrT
from eval.whitebox.attacks.base import WhiteBox
from eval.whitebox.attacks.steps import Fgsm, MiFgsm, Pgd

__all__ = ["WHITE_BOX"]

WHITE_BOX: Mapping[str, WhiteBox] = {
    attack.name: attack for attack in (Fgsm(), MiFgsm(), Pgd(), ApgdCe(), ApgdDlr(), ApgdDlrT())
}
