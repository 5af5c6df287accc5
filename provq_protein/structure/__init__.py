"""How do protein structure files become backbones, and backbones become files."""

from provq_protein.structure.backbone import Backbone as Backbone
from provq_protein.structure.reading import read_backbones as read_backbones
from provq_protein.structure.writing import write_backbone as write_backbone
