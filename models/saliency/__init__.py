"""Where in a picture an answer comes from, found by asking alone.

Methods are generators, as attacks are: they yield pictures they want to ask about, are sent the
answers, and give a map at the end. They hold no model and know no HTTP, so the same code explains
a graph in the server and a live endpoint of anybody's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from models.saliency.dialogue import Dialogue, Method, advance, reduced
from models.saliency.occlusion import Occlusion
from models.saliency.rise import Rise
from models.saliency.targets import Target, aim

__all__ = ["METHODS", "Dialogue", "Method", "Occlusion", "Rise", "Target", "advance", "aim", "reduced"]

# A method for about so many queries.
METHODS: Mapping[str, Callable[[int], Method]] = {"rise": Rise, "occlusion": Occlusion.within}
