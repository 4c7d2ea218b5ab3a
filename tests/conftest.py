"""Settings of every test: properties have no time limit of their own (pytest-timeout ends what hangs), and repeat the same examples."""

from hypothesis import settings

settings.register_profile("lab", deadline=None, derandomize=True)
settings.load_profile("lab")
