"""Where do structures come from: files, folders, archives, FoldComp data and trajectories?"""

from provq_protein.sources.foldcomp_codec import FOLDCOMP_WARNING as FOLDCOMP_WARNING
from provq_protein.sources.member import Limits as Limits
from provq_protein.sources.member import Member as Member
from provq_protein.sources.walk import members as members
