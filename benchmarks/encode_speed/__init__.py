"""How fast are chains encoded, beside ESM3's structure encoder?"""
