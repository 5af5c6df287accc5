"""What do tokens, codes and their errors look like, on one page that needs no network?"""
