"""How many tokens does FoldComp's loss of coordinates change?"""
