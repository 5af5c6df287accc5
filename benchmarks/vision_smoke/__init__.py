"""Do the commands for images work one after the other, and survive being killed?"""
