"""Do formats and readers agree on the residues of a structure?"""
