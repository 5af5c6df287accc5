"""How good are the images of a model that makes new ones?"""
