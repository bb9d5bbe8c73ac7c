"""A picture and what was made of it on one page, for the eye."""
