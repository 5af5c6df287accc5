"""How often, where and for which pieces of chain is each code of the shipped model used?"""
