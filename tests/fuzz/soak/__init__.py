"""Half an hour of everything at once on a live service: does its memory, or anything else, grow?"""
