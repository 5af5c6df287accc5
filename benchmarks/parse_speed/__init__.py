"""How fast are structure files read, next to other readers?"""
