"""What share of ids survives small changes of a structure?"""
