"""How well do tokens keep a structure?"""
