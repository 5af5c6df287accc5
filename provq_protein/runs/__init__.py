"""What does any training run need, whatever it trains?"""
